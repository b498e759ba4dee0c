// SPDX-License-Identifier: Apache-2.0
//
// A container's process with CAP_SYS_PTRACE that looks at every other process in its sight, over and over, for what
// is not the container's. Prints each kind of finding once, with the process, and "watched" after SIGTERM.
//
//   spy FILE NAMESPACE...
//
// FILE is a path of the node; it gets a line when it can be reached. NAMESPACE is one of the node's, as a link in
// /proc/self/ns shows it. All processes but this one and pid 1 are to be of uid 1000, to have no capability, and a filter.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile sig_atomic_t enough;
static char **node;  // FILE NAMESPACE...
static char told[16][16];
static int kinds;

static void stop(int signal) {
  (void)signal;
  enough = 1;
}

static void tell(const char *kind, int pid, const char *what) {
  for (int i = 0; i < kinds; i++)
    if (!strcmp(told[i], kind)) return;
  if (kinds < 16) snprintf(told[kinds++], sizeof told[0], "%s", kind);
  printf("%s of %d: %.*s\n", kind, pid, (int)strcspn(what, "\n"), what);
}

// Appends to the node's file by way of a directory in /proc/PID.
static void reach(const char *kind, int pid, const char *way) {
  char path[1024];
  snprintf(path, sizeof path, "/proc/%d/%s%s", pid, way, node[0]);
  int file = open(path, O_WRONLY | O_APPEND | O_NOCTTY);
  if (file < 0) return;
  if (write(file, "reached\n", 8) > 0) tell(kind, pid, path);
  close(file);
}

static void look_at_descriptors(int pid) {
  char path[64], target[512];
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR *list = opendir(path);
  if (!list) return;
  for (struct dirent *entry; (entry = readdir(list));) {
    if (entry->d_name[0] == '.') continue;
    ssize_t n = readlinkat(dirfd(list), entry->d_name, target, sizeof target - 1);
    if (n <= 0) continue;
    target[n] = 0;
    // What programs of the container open for a moment is its own.
    if (!strncmp(target, "/proc", 5) || !strncmp(target, "/etc/", 5) || !strncmp(target, "/lib/", 5)) continue;
    int is_stream = !strncmp(target, "pipe:", 5) || !strcmp(target, "/dev/null") || !strncmp(target, "/dev/pts/", 9);
    if (!is_stream && strcmp(target, "/null") && strcmp(target, "/")) tell("descriptor", pid, target);
    struct stat status;
    if (!fstatat(dirfd(list), entry->d_name, &status, 0) && (S_ISDIR(status.st_mode) || S_ISREG(status.st_mode)))
      tell("file", pid, target);
  }
  closedir(list);
}

static void look_at_namespaces(int pid) {
  static const char *names[] = {"mnt", "net", "ipc", "uts", "cgroup"};
  char path[64], link[64];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, names[i]);
    ssize_t n = readlink(path, link, sizeof link - 1);
    if (n <= 0) continue;
    link[n] = 0;
    for (char **of_node = node + 1; *of_node; of_node++)
      if (!strcmp(*of_node, link)) tell("namespace", pid, link);
  }
}

static size_t contents(int pid, const char *name, char *text, size_t room) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int file = open(path, O_RDONLY);
  ssize_t n = file < 0 ? 0 : read(file, text, room - 1);
  if (file >= 0) close(file);
  n = n < 0 ? 0 : n;
  text[n] = 0;
  return n;
}

static void look_at_rights(int pid) {
  char text[4096];
  contents(pid, "status", text, sizeof text);
  unsigned real, effective;
  unsigned long long permitted, effective_set;
  char *uid = strstr(text, "\nUid:"), *prm = strstr(text, "\nCapPrm:"), *eff = strstr(text, "\nCapEff:");
  if (!uid || !prm || !eff || strstr(text, "\nState:\tZ")) return;
  if (sscanf(uid, "\nUid:\t%u\t%u", &real, &effective) == 2 && (real != 1000 || effective != 1000)) tell("user", pid, text);
  if (!strstr(text, "\nSeccomp:\t2")) tell("filter", pid, text);
  if (sscanf(prm, "\nCapPrm:\t%llx", &permitted) == 1 && permitted) tell("permitted", pid, text);
  if (sscanf(eff, "\nCapEff:\t%llx", &effective_set) == 1 && effective_set) tell("effective", pid, text);
}

static void look_at_words(int pid) {
  static const char *names[] = {"cmdline", "comm", "environ"};
  char text[4096], directory[512];
  snprintf(directory, sizeof directory, "%s", node[0]);
  *strrchr(directory, '/') = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    size_t n = contents(pid, names[i], text, sizeof text);
    for (size_t at = 0; at < n; at++)
      if (!text[at]) text[at] = ' ';
    if (strstr(text, "gorae-shim") || strstr(text, directory)) tell(names[i], pid, text);
  }
}

int main(int count, char **word) {
  if (count < 3) return 2;
  node = word + 1;
  signal(SIGTERM, stop);
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("watching\n");
  DIR *proc = opendir("/proc");
  if (!proc) return 1;
  while (!enough) {
    rewinddir(proc);
    for (struct dirent *entry; (entry = readdir(proc));) {
      int pid = atoi(entry->d_name);
      if (pid <= 0 || pid == getpid()) continue;
      reach("root", pid, "root");
      reach("cwd", pid, "cwd/../../../../../../..");
      look_at_descriptors(pid);
      look_at_namespaces(pid);
      look_at_words(pid);
      if (pid != 1) look_at_rights(pid);
    }
  }
  printf("watched\n");
  return 0;
}
