/* What the kernels share: the answer as one line of hexadecimal on stdout, with no printf, which would be most of the
 * module. A kernel takes a few tens of milliseconds natively. */
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static int answer(uint64_t v) {
  char line[17];
  for (int i = 15; i >= 0; i--, v >>= 4) line[i] = "0123456789abcdef"[v & 15];
  line[16] = '\n';
  return write(1, line, sizeof line) != sizeof line;
}

static inline uint64_t bits_of(double d) {
  uint64_t v;
  memcpy(&v, &d, sizeof v);
  return v;
}
