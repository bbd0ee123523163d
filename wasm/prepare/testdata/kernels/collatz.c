/* The longest of the Collatz sequences that start below a bound. */
#include "kernel.h"

int main(void) {
  uint64_t best = 0, steps_of_best = 0;
  for (uint64_t start = 1; start < 300000; start++) {
    uint64_t steps = 0;
    for (uint64_t n = start; n != 1; steps++) n = n % 2 ? 3 * n + 1 : n / 2;
    if (steps > steps_of_best) steps_of_best = steps, best = start;
  }
  return answer(best << 32 | steps_of_best);
}
