package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// request is what is sent beside the path.
type request struct{ token, tag, encoding string }

func fetch(ctx context.Context, client *http.Client, address string, with request) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	if with.token != "" {
		request.Header.Set("Authorization", "Bearer "+with.token)
	}
	if with.tag != "" {
		request.Header.Set("If-None-Match", with.tag)
	}
	if with.encoding != "" {
		request.Header.Set("Accept-Encoding", with.encoding)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

type reply struct {
	code   int
	header http.Header
	body   []byte
}

func get(ctx context.Context, address, token string) reply {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return reply{}
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return reply{}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return reply{}
	}
	return reply{response.StatusCode, response.Header, body}
}

// post sends an object, and tries again for a while what cannot be done yet: what it needs
// may be made a moment later.
func post(ctx context.Context, address, token string, body any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(content))
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		switch {
		case err != nil:
			return err
		case response.StatusCode < http.StatusMultipleChoices:
			return nil
		case time.Since(began) > time.Minute:
			return fmt.Errorf("%s: %d %s", address, response.StatusCode, answer)
		}
	}
}

func login(ctx context.Context, address, user, password string) (string, error) {
	form := url.Values{"grant_type": {"password"}, "username": {user}, "password": {password}, "client_id": {"kubesphere"}, "client_secret": {"kubesphere"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error_description"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	if answer.AccessToken == "" {
		return "", fmt.Errorf("login: %d %s", response.StatusCode, answer.Error)
	}
	return answer.AccessToken, nil
}
