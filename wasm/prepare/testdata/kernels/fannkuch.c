/* Pancakes: the most flips over all permutations (after the Computer Language Benchmarks Game). */
#include "kernel.h"

#define N 10

int main(void) {
  int perm[N], perm1[N], count[N], max = 0, checksum = 0, r = N, odd = 0;
  for (int i = 0; i < N; i++) perm1[i] = i;
  for (;;) {
    for (; r != 1; r--) count[r - 1] = r;
    memcpy(perm, perm1, sizeof perm);
    int flips = 0;
    for (int first = perm[0]; first != 0; first = perm[0], flips++)
      for (int i = 0, j = first; i < j; i++, j--) {
        int swap = perm[i];
        perm[i] = perm[j], perm[j] = swap;
      }
    if (flips > max) max = flips;
    checksum += odd ? -flips : flips;
    for (;; r++) {
      if (r == N) return answer((uint64_t)checksum << 32 | max);
      int first = perm1[0];
      for (int i = 0; i < r; i++) perm1[i] = perm1[i + 1];
      perm1[r] = first;
      if (--count[r] > 0) break;
    }
    odd = !odd;
  }
}
