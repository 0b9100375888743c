// java Client URL MODEL: asks the gateway with OpenAI's and Anthropic's clients, and with the JDK's HTTP client in
// Ollama's protocol; one line of JSON for each step, its result or its error.
import com.anthropic.client.AnthropicClient;
import com.anthropic.client.okhttp.AnthropicOkHttpClient;
import com.anthropic.errors.AnthropicServiceException;
import com.anthropic.models.messages.MessageCountTokensParams;
import com.anthropic.models.messages.MessageCreateParams;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.errors.OpenAIServiceException;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.embeddings.EmbeddingCreateParams;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Map.Entry;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;

public class Client {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final List<Map<String, String>> MESSAGES = List.of(Map.of("role", "user", "content", "hello"));

    public static void main(String[] arguments) throws IOException {
        String url = arguments[0];
        String model = arguments[1];
        OpenAIClient openai = OpenAIOkHttpClient.builder().baseUrl(url + "/v1").apiKey("any").maxRetries(0).build();
        AnthropicClient anthropic = AnthropicOkHttpClient.builder().baseUrl(url).apiKey("any").maxRetries(0).build();
        Map<String, Callable<Object>> steps = new LinkedHashMap<>();
        addOpenAI(steps, openai, model);
        addAnthropic(steps, anthropic, model);
        addOllama(steps, new Ollama(url), model);
        for (Entry<String, Callable<Object>> step : steps.entrySet()) {
            Map<String, Object> told = new LinkedHashMap<>(Map.of("step", step.getKey()));
            try {
                told.put("result", step.getValue().call());
            } catch (OpenAIServiceException refused) {
                told.putAll(Map.of("error", refused.getMessage(), "status", refused.statusCode()));
            } catch (AnthropicServiceException refused) {
                told.putAll(Map.of("error", refused.apiMessage().orElse(""), "status", refused.statusCode()));
            } catch (Ollama.Refused refused) {
                told.putAll(Map.of("error", refused.getMessage(), "status", refused.status));
            } catch (Exception unexpected) { // no status: the client has another exception for a refusal
                told.put("error", unexpected.toString());
            }
            System.out.println(JSON.writeValueAsString(told));
        }
        openai.close();
        anthropic.close();
    }

    private static void addOpenAI(Map<String, Callable<Object>> steps, OpenAIClient client, String model) {
        var completions = client.chat().completions();
        steps.put("openai chat", () -> completions.create(chat(model)).choices().get(0).message().content().orElse(""));
        steps.put("openai stream", () -> streamed(client, model));
        steps.put("openai broken", () -> streamed(client, "broken"));
        steps.put("openai error", () -> completions.create(chat("nobody")));
        steps.put("openai models", () -> client.models().list().data().stream().map(one -> one.id()).toList());
        steps.put("openai embeddings", () -> client.embeddings()
            .create(EmbeddingCreateParams.builder().model(model).input("hello").build())
            .data().get(0).embedding().size());
    }

    private static String streamed(OpenAIClient client, String model) {
        try (var answer = client.chat().completions().createStreaming(chat(model))) {
            return answer.stream()
                .flatMap(chunk -> chunk.choices().stream())
                .flatMap(choice -> choice.delta().content().stream())
                .collect(Collectors.joining());
        }
    }

    private static ChatCompletionCreateParams chat(String model) {
        return ChatCompletionCreateParams.builder().model(model).maxCompletionTokens(8).addUserMessage("hello").build();
    }

    private static void addAnthropic(Map<String, Callable<Object>> steps, AnthropicClient client, String model) {
        steps.put("anthropic chat", () -> client.messages().create(message(model)).content().stream()
            .flatMap(block -> block.text().stream())
            .map(block -> block.text())
            .collect(Collectors.joining()));
        steps.put("anthropic stream", () -> streamed(client, model));
        steps.put("anthropic broken", () -> streamed(client, "broken"));
        steps.put("anthropic error", () -> client.messages().create(message("nobody")));
        steps.put("anthropic count", () -> client.messages()
            .countTokens(MessageCountTokensParams.builder().model(model).addUserMessage("hello").build())
            .inputTokens());
    }

    private static String streamed(AnthropicClient client, String model) {
        try (var answer = client.messages().createStreaming(message(model))) {
            return answer.stream()
                .flatMap(event -> event.contentBlockDelta().stream())
                .flatMap(event -> event.delta().text().stream())
                .map(delta -> delta.text())
                .collect(Collectors.joining());
        }
    }

    private static MessageCreateParams message(String model) {
        return MessageCreateParams.builder().model(model).maxTokens(8).addUserMessage("hello").build();
    }

    private static void addOllama(Map<String, Callable<Object>> steps, Ollama client, String model) {
        steps.put("ollama chat", () -> client.chat(model, false));
        steps.put("ollama stream", () -> client.chat(model, true));
        steps.put("ollama broken", () -> client.chat("broken", true));
        steps.put("ollama error", () -> client.chat("nobody", false));
        steps.put("ollama pull", () -> client.post("/api/pull", Map.of("model", "nobody")));
        steps.put("ollama models", () -> client.get("/api/tags").stream()
            .flatMap(listed -> StreamSupport.stream(listed.get("models").spliterator(), false))
            .map(one -> one.get("name").asText())
            .toList());
        steps.put("ollama embeddings", () -> client
            .post("/api/embeddings", Map.of("model", model, "prompt", "hello"))
            .get(0).get("embedding").size());
    }

    /**
     * Speaks Ollama's protocol with the JDK's HTTP client, because Ollama publishes no client for Java. The JDK's client
     * offers h2c with every request, here in a head that is too long for one segment.
     */
    private static class Ollama {
        private static final String LONG = "x".repeat(6000);
        private final HttpClient client = HttpClient.newHttpClient();
        private final String url;

        Ollama(String url) {
            this.url = url;
        }

        String chat(String model, boolean stream) throws Exception {
            var options = Map.of("num_predict", 8);
            var asked = Map.of("model", model, "messages", MESSAGES, "stream", stream, "options", options);
            return post("/api/chat", asked).stream()
                .map(line -> line.get("message").get("content").asText())
                .collect(Collectors.joining());
        }

        List<JsonNode> post(String path, Object body) throws Exception {
            return send(request(path)
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.ofString(JSON.writeValueAsString(body))));
        }

        List<JsonNode> get(String path) throws Exception {
            return send(request(path));
        }

        private HttpRequest.Builder request(String path) {
            return HttpRequest.newBuilder(URI.create(url + path)).header("Authorization", "Bearer " + LONG);
        }

        private List<JsonNode> send(HttpRequest.Builder request) throws Exception {
            var answer = client.send(request.build(), BodyHandlers.ofString());
            List<JsonNode> lines = JSON.readerFor(JsonNode.class).<JsonNode>readValues(answer.body()).readAll();
            for (JsonNode line : lines) {
                if (line.has("error")) {
                    throw new Refused(answer.statusCode(), line.get("error").asText());
                }
            }
            return lines;
        }

        static class Refused extends Exception {
            final int status;

            Refused(int status, String message) {
                super(message);
                this.status = status;
            }
        }
    }
}
