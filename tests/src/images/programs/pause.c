// SPDX-License-Identifier: Apache-2.0
//
// Waits for SIGTERM or SIGINT and reaps what is left to it.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void quit(int signal) {
  (void)signal;
  _exit(0);
}

static void reap(int signal) {
  (void)signal;
  while (waitpid(-1, NULL, WNOHANG) > 0) {
  }
}

int main(void) {
  struct sigaction end = {0}, child = {0};
  end.sa_handler = quit;
  child.sa_handler = reap;
  child.sa_flags = SA_NOCLDSTOP;
  sigaction(SIGTERM, &end, NULL);
  sigaction(SIGINT, &end, NULL);
  sigaction(SIGCHLD, &child, NULL);
  for (;;) pause();
}
