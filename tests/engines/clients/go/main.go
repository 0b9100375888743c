// clients URL MODEL: asks the gateway by three clients; one line of JSON for each step, its result or its error.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/ollama/ollama/api"
	"github.com/openai/openai-go"
	"github.com/openai/openai-go/option"
)

type outcome struct {
	Step   string `json:"step"`
	Result any    `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
	Status int    `json:"status,omitempty"`
}

// status reads it from the error in which a client tells a refusal; 0 for any other.
func status(err error) int {
	var byOpenAI *openai.Error
	var byAnthropic *anthropic.Error
	var byOllama api.StatusError
	switch {
	case errors.As(err, &byOpenAI):
		return byOpenAI.StatusCode
	case errors.As(err, &byAnthropic):
		return byAnthropic.StatusCode
	case errors.As(err, &byOllama):
		return byOllama.StatusCode
	}
	return 0
}

func main() {
	ctx, base, model := context.Background(), os.Args[1], os.Args[2]
	parsed, err := url.Parse(base)
	if err != nil {
		panic(err)
	}
	o := openai.NewClient(option.WithBaseURL(base+"/v1/"), option.WithAPIKey("any"), option.WithMaxRetries(0))
	a := anthropic.NewClient(
		anthropicoption.WithBaseURL(base), anthropicoption.WithAPIKey("any"), anthropicoption.WithMaxRetries(0))
	l := api.NewClient(parsed, http.DefaultClient)

	chat := func(model string) openai.ChatCompletionNewParams {
		return openai.ChatCompletionNewParams{
			Model: model, MaxTokens: openai.Int(8),
			Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")},
		}
	}
	message := func(model string) anthropic.MessageNewParams {
		return anthropic.MessageNewParams{
			Model: model, MaxTokens: 8,
			Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("hello"))},
		}
	}
	streamed := func(model string) (any, error) {
		stream, said := o.Chat.Completions.NewStreaming(ctx, chat(model)), ""
		for stream.Next() {
			if choices := stream.Current().Choices; len(choices) > 0 {
				said += choices[0].Delta.Content
			}
		}
		return said, stream.Err()
	}
	told := func(model string) (any, error) {
		stream, said := a.Messages.NewStreaming(ctx, message(model)), ""
		for stream.Next() {
			said += stream.Current().Delta.Text
		}
		return said, stream.Err()
	}
	native := func(model string, stream bool) (any, error) {
		said := ""
		err := l.Chat(ctx, &api.ChatRequest{
			Model: model, Stream: &stream, Options: map[string]any{"num_predict": 8},
			Messages: []api.Message{{Role: "user", Content: "hello"}},
		}, func(part api.ChatResponse) error {
			said += part.Message.Content
			return nil
		})
		return said, err
	}

	steps := []struct {
		name string
		run  func() (any, error)
	}{
		{"openai chat", func() (any, error) {
			answer, err := o.Chat.Completions.New(ctx, chat(model))
			if err != nil {
				return nil, err
			}
			return answer.Choices[0].Message.Content, nil
		}},
		{"openai stream", func() (any, error) { return streamed(model) }},
		{"openai broken", func() (any, error) { return streamed("broken") }},
		{"openai error", func() (any, error) {
			_, err := o.Chat.Completions.New(ctx, chat("nobody"))
			return nil, err
		}},
		{"openai models", func() (any, error) {
			page, err := o.Models.List(ctx)
			if err != nil {
				return nil, err
			}
			ids := []string{}
			for _, one := range page.Data {
				ids = append(ids, one.ID)
			}
			return ids, nil
		}},
		{"openai embeddings", func() (any, error) {
			answer, err := o.Embeddings.New(ctx, openai.EmbeddingNewParams{
				Model: model, Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("hello")},
			})
			if err != nil {
				return nil, err
			}
			return len(answer.Data[0].Embedding), nil
		}},
		{"anthropic chat", func() (any, error) {
			answer, err := a.Messages.New(ctx, message(model))
			if err != nil {
				return nil, err
			}
			said := ""
			for _, part := range answer.Content {
				said += part.Text
			}
			return said, nil
		}},
		{"anthropic stream", func() (any, error) { return told(model) }},
		{"anthropic broken", func() (any, error) { return told("broken") }},
		{"anthropic error", func() (any, error) {
			_, err := a.Messages.New(ctx, message("nobody"))
			return nil, err
		}},
		{"anthropic count", func() (any, error) {
			answer, err := a.Messages.CountTokens(ctx, anthropic.MessageCountTokensParams{
				Model: model, Messages: message(model).Messages,
			})
			if err != nil {
				return nil, err
			}
			return answer.InputTokens, nil
		}},
		{"ollama heartbeat", func() (any, error) { return "there", l.Heartbeat(ctx) }},
		{"ollama chat", func() (any, error) { return native(model, false) }},
		{"ollama stream", func() (any, error) { return native(model, true) }},
		{"ollama broken", func() (any, error) { return native("broken", true) }},
		{"ollama error", func() (any, error) { return native("nobody", false) }},
		{"ollama pull", func() (any, error) {
			return nil, l.Pull(ctx, &api.PullRequest{Model: "nobody"}, func(api.ProgressResponse) error { return nil })
		}},
		{"ollama models", func() (any, error) {
			listed, err := l.List(ctx)
			if err != nil {
				return nil, err
			}
			names := []string{}
			for _, one := range listed.Models {
				names = append(names, one.Name)
			}
			return names, nil
		}},
		{"ollama embeddings", func() (any, error) {
			answer, err := l.Embeddings(ctx, &api.EmbeddingRequest{Model: model, Prompt: "hello"})
			if err != nil {
				return nil, err
			}
			return len(answer.Embedding), nil
		}},
	}
	for _, step := range steps {
		line := outcome{Step: step.name}
		result, err := step.run()
		if err != nil {
			line.Error, line.Status = err.Error(), status(err)
		} else {
			line.Result = result
		}
		out, _ := json.Marshal(line)
		fmt.Println(string(out))
	}
}
