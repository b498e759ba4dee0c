// SPDX-License-Identifier: Apache-2.0
//
// The one program of the image `gorae/tiny`: static, no shell, a few verbs that tests and the demo need.
//
//   serve PORT DIR    HTTP/1.0 server of the files in DIR; one log line per request
//   sleep             waits until SIGTERM, then exits with 0
//   stubborn          ignores SIGTERM
//   echo WORD...      prints the words
//   cat FILE          prints a file
//   exit N            exits with N
//   count N CODE      prints "line 1" to "line N", exits with CODE
//   flood             prints "line 1", "line 2", ... until SIGTERM, then the number of lines on standard error
//   tick MS           prints a numbered line every MS milliseconds
//   eat MIB           touches that much memory, then sleeps
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void quit(int signal) {
  (void)signal;
  _exit(0);
}

static void quit_on_term(void) {
  struct sigaction action = {0};
  action.sa_handler = quit;
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
}

// Copies FILE to `out`; false when it cannot be read.
static int copy(const char *file, int out) {
  char block[4096];
  int in = open(file, O_RDONLY);
  if (in < 0) return 0;
  for (;;) {
    ssize_t got = read(in, block, sizeof block), put = 0;
    if (got <= 0) break;
    while (put < got) {
      ssize_t n = write(out, block + put, got - put);
      if (n <= 0) break;
      put += n;
    }
    if (put < got) break;
  }
  close(in);
  return 1;
}

// Reads up to the empty line that ends a request: what is left unread would make the kernel reset the connection.
static int receive(int client, char *request, size_t room) {
  size_t have = 0;
  while (have + 1 < room && !strstr(request, "\r\n\r\n")) {
    ssize_t got = read(client, request + have, room - have - 1);
    if (got <= 0) break;
    have += got;
    request[have] = 0;
  }
  return have > 0;
}

// Answers one request; the path may not climb.
static void answer(int client, const char *directory) {
  char request[8192] = "", path[1024] = "", file[2048];
  if (!receive(client, request, sizeof request) || sscanf(request, "GET %1000s", path) != 1) return;
  int climbs = strstr(path, "..") != NULL;
  snprintf(file, sizeof file, "%s%s%s", directory, path, path[strlen(path) - 1] == '/' ? "index.html" : "");
  struct stat status;
  int found = !climbs && stat(file, &status) == 0 && S_ISREG(status.st_mode);
  dprintf(client, "HTTP/1.0 %s\r\nContent-Type: text/html\r\nContent-Length: %ld\r\nConnection: close\r\n\r\n",
          found ? "200 OK" : "404 Not Found", found ? (long)status.st_size : 0);
  if (found) copy(file, client);
  printf("GET %s %d\n", path, found ? 200 : 404);
}

static int serve(int port, const char *directory) {
  int yes = 1, no = 0, listener = socket(AF_INET6, SOCK_STREAM, 0);
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct sockaddr *address = (struct sockaddr *)&six;
  socklen_t length = sizeof six;
  if (listener < 0) {  // no IPv6 in this kernel
    listener = socket(AF_INET, SOCK_STREAM, 0);
    address = (struct sockaddr *)&four;
    length = sizeof four;
  } else {
    setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
  }
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, address, length) < 0 || listen(listener, 64) < 0) {
    perror("listen");
    return 1;
  }
  signal(SIGPIPE, SIG_IGN);
  printf("serving %s on port %d\n", directory, port);
  for (;;) {
    int client = accept(listener, NULL, NULL);
    if (client < 0) continue;
    answer(client, directory);
    close(client);
  }
}

static void eat(long mib) {
  for (long i = 0; i < mib; i++) {
    char *block = malloc(1 << 20);
    if (!block) _exit(1);
    memset(block, 1, 1 << 20);
  }
  printf("ate %ld MiB\n", mib);
  for (;;) pause();
}

static void tick(long ms) {
  for (long i = 1;; i++) {
    printf("tick %ld\n", i);
    usleep(ms * 1000);
  }
}

static volatile sig_atomic_t enough;

static void stop(int signal) {
  (void)signal;
  enough = 1;
}

static void flood(void) {
  long lines = 0;
  // Without SA_RESTART a write would be cut short: the line would be lost, not the signal.
  struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
  sigaction(SIGTERM, &action, NULL);
  while (!enough) printf("line %ld\n", ++lines);
  fprintf(stderr, "%ld lines\n", lines);
}

int main(int count, char **word) {
  const char *verb = count > 1 ? word[1] : "sleep";
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (!strcmp(verb, "stubborn")) signal(SIGTERM, SIG_IGN);
  else quit_on_term();

  if (!strcmp(verb, "serve") && count == 4) return serve(atoi(word[2]), word[3]);
  if (!strcmp(verb, "exit") && count == 3) return atoi(word[2]);
  if (!strcmp(verb, "eat") && count == 3) eat(atol(word[2]));
  if (!strcmp(verb, "tick") && count == 3) tick(atol(word[2]));
  if (!strcmp(verb, "cat") && count == 3) {
    if (copy(word[2], 1)) return 0;
    perror(word[2]);
    return 1;
  }
  if (!strcmp(verb, "count") && count == 4) {
    for (long i = 1; i <= atol(word[2]); i++) printf("line %ld\n", i);
    return atoi(word[3]);
  }
  if (!strcmp(verb, "flood")) {
    flood();
    return 0;
  }
  if (!strcmp(verb, "echo")) {
    for (int i = 2; i < count; i++) printf(i + 1 < count ? "%s " : "%s", word[i]);
    printf("\n");
    return 0;
  }
  if (!strcmp(verb, "sleep") || !strcmp(verb, "stubborn")) {
    for (;;) pause();
  }
  fprintf(stderr, "tiny: unknown verb %s\n", verb);
  return 2;
}
