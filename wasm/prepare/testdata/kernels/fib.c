/* Fibonacci numbers by plain recursion: nothing but calls. */
#include "kernel.h"

static __attribute__((noinline)) uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

int main(void) {
  volatile uint32_t n = 34;
  return answer(fib(n));
}
