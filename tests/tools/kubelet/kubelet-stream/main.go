// SPDX-License-Identifier: Apache-2.0

// kubelet-stream SPDY|WEBSOCKET exec|attach|forward URL: what kubectl does when the API server has let it through,
// with kubectl's own library, straight at a kubelet.
//
// exec and attach join this process's standard streams with those that the URL's query asks for, and end with the
// command's exit code. forward listens on a free loopback port for PORT (a fourth argument), says
// "Forwarding from 127.0.0.1:LOCAL -> PORT" and goes on until standard input ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
)

const usage = "usage: kubelet-stream spdy|websocket exec|attach URL\n       kubelet-stream spdy|websocket forward URL PORT\n"

func main() {
	if len(os.Args) < 4 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(125)
	}
	transport, verb, words := os.Args[1], os.Args[2], os.Args[3:]
	err := run(transport, verb, words)
	var ended exec.CodeExitError
	if errors.As(err, &ended) {
		os.Exit(ended.Code)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(125)
	}
}

func run(transport, verb string, words []string) error {
	target, err := url.Parse(words[0])
	if err != nil {
		return err
	}
	// Kubelet signs its own certificate; it does not check the client either.
	config := &rest.Config{TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	switch {
	case (verb == "exec" || verb == "attach") && len(words) == 1:
		return join(config, transport, target)
	case verb == "forward" && len(words) == 2:
		return forward(config, transport, target, words[1])
	}
	return errors.New(usage)
}

// join copies between the standard streams and the container's until the command, or the container that is attached to, ends.
func join(config *rest.Config, transport string, target *url.URL) error {
	var executor remotecommand.Executor
	var err error
	if transport == "websocket" {
		executor, err = remotecommand.NewWebSocketExecutor(config, http.MethodGet, target.String())
	} else {
		executor, err = remotecommand.NewSPDYExecutor(config, http.MethodPost, target)
	}
	if err != nil {
		return err
	}
	asked := target.Query()
	streams := remotecommand.StreamOptions{Tty: asked.Get("tty") == "1"}
	if asked.Get("input") == "1" {
		streams.Stdin = os.Stdin
	}
	if asked.Get("output") == "1" {
		streams.Stdout = os.Stdout
	}
	if asked.Get("error") == "1" {
		streams.Stderr = os.Stderr
	}
	return executor.StreamWithContext(context.Background(), streams)
}

// forward serves a loopback port until standard input ends.
func forward(config *rest.Config, transport string, target *url.URL, port string) error {
	dialer, err := dialer(config, transport, target)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	forwarder, err := portforward.New(dialer, []string{"0:" + port}, stop, nil, os.Stdout, os.Stderr)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	return forwarder.ForwardPorts()
}

func dialer(config *rest.Config, transport string, target *url.URL) (httpstream.Dialer, error) {
	if transport == "websocket" {
		return portforward.NewSPDYOverWebsocketDialer(target, config)
	}
	through, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	return spdy.NewDialer(upgrader, &http.Client{Transport: through}, http.MethodPost, target), nil
}
