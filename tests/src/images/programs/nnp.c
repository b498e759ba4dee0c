// SPDX-License-Identifier: Apache-2.0
//
// Set-user-ID root in its image: prints whom the kernel made it.
#include <stdio.h>
#include <unistd.h>

int main(void) {
  printf("Effective uid: %d\n", (int)geteuid());
  return 0;
}
