// java Client.java URL MODEL: asks the gateway by the JDK's own client, which offers h2c with every request; one line of
// JSON for each step, the bytes that it read or its error.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

public class Client {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] arguments) {
        String url = arguments[0];
        String model = arguments[1];
        String long_ = "x".repeat(6000);
        post(url, "openai chat", "/v1/chat/completions", chat(model, false), Map.of());
        post(url, "openai stream", "/v1/chat/completions", chat(model, true), Map.of());
        post(url, "openai error", "/v1/chat/completions", chat("nobody", false), Map.of());
        send("openai models", HttpRequest.newBuilder(URI.create(url + "/v1/models")).build());
        post(url, "openai embeddings", "/v1/embeddings", "{\"model\": \"" + model + "\", \"input\": \"hello\"}", Map.of());
        post(url, "anthropic chat", "/v1/messages", chat(model, false), Map.of("x-api-key", long_));
        post(url, "anthropic stream", "/v1/messages", chat(model, true), Map.of("x-api-key", long_));
        post(url, "anthropic error", "/v1/messages", chat("nobody", false), Map.of("x-api-key", long_));
        String count = "{\"model\": \"" + model + "\", \"messages\": [{\"role\": \"user\", \"content\": \"hello\"}]}";
        post(url, "anthropic count", "/v1/messages/count_tokens", count, Map.of());
        String native_ = count.replace("}]}", "}], \"options\": {\"num_predict\": 8}}");
        post(url, "ollama chat", "/api/chat", native_.replace("\"options\"", "\"stream\": false, \"options\""), Map.of());
        post(url, "ollama stream", "/api/chat", native_, Map.of());
        post(url, "ollama error", "/api/chat", chat("nobody", false), Map.of());
        post(url, "ollama pull", "/api/pull", "{\"model\": \"nobody\"}", Map.of());
        send("ollama models", HttpRequest.newBuilder(URI.create(url + "/api/tags")).build());
        post(url, "ollama embeddings", "/api/embeddings", "{\"model\": \"" + model + "\", \"prompt\": \"hello\"}", Map.of());
        post(url, "rerank", "/v1/rerank", "{\"model\": \"" + model + "\", \"query\": \"a\", \"documents\": [\"b\"]}", Map.of());
    }

    private static String chat(String model, boolean stream) {
        return "{\"model\": \"" + model + "\", \"max_tokens\": 8, \"stream\": " + stream
            + ", \"messages\": [{\"role\": \"user\", \"content\": \"hello\"}]}";
    }

    private static void post(String url, String step, String path, String body, Map<String, String> headers) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + path))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body));
        new TreeMap<>(headers).forEach(request::header);
        send(step, request.build());
    }

    private static void send(String step, HttpRequest request) {
        try {
            HttpResponse<java.util.stream.Stream<String>> answer = CLIENT.send(request, HttpResponse.BodyHandlers.ofLines());
            String body = answer.body().collect(Collectors.joining("\n"));
            boolean fine = answer.statusCode() == 200;
            System.out.println("{\"step\": " + quoted(step) + ", \"" + (fine ? "result" : "error") + "\": " + quoted(body)
                + ", \"status\": " + answer.statusCode() + "}");
        } catch (Exception reason) {
            System.out.println("{\"step\": " + quoted(step) + ", \"error\": " + quoted(reason.toString()) + "}");
        }
    }

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            out.append(c < ' ' || c == '"' || c == '\\' || c > '~' ? String.format("\\u%04x", (int) c) : c);
        }
        return out.append('"').toString();
    }
}
