// Posts with net/http, one after the other: post <url> <token> <count>
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func post(url, token, body string) error {
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || string(text) != body {
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	return nil
}

func main() {
	count, err := strconv.Atoi(os.Args[3])
	for number := 0; err == nil && number < count; number++ {
		err = post(os.Args[1], os.Args[2], strconv.Itoa(number))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
