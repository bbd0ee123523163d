/* The Mandelbrot set on a grid: how many steps its points take to leave. */
#include "kernel.h"

int main(void) {
  uint64_t steps = 0;
  for (int py = 0; py < 300; py++)
    for (int px = 0; px < 300; px++) {
      double cx = px / 150.0 - 1.5, cy = py / 150.0 - 1.0, x = 0, y = 0;
      int n = 0;
      for (; n < 1000 && x * x + y * y <= 4; n++) {
        double next = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = next;
      }
      steps += n;
    }
  return answer(steps);
}
