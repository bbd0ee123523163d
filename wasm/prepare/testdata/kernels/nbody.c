/* The Sun and the giant planets, by a symplectic integrator (after the Computer Language Benchmarks Game). */
#include <math.h>
#include "kernel.h"

#define PI 3.141592653589793
#define SOLAR_MASS (4 * PI * PI)
#define DAYS 365.24

struct body { double x[3], v[3], mass; };

static struct body bodies[5] = {
    {{0, 0, 0}, {0, 0, 0}, SOLAR_MASS},
    {{4.84143144246472090, -1.16032004402742839, -1.03622044471123109e-1},
     {1.66007664274403694e-3 * DAYS, 7.69901118419740425e-3 * DAYS, -6.90460016972063023e-5 * DAYS},
     9.54791938424326609e-4 * SOLAR_MASS},
    {{8.34336671824457987, 4.12479856412430479, -4.03523417114321e-1},
     {-2.76742510726411021e-3 * DAYS, 4.99852801234917238e-3 * DAYS, 2.30417297573763929e-5 * DAYS},
     2.85885980666130812e-4 * SOLAR_MASS},
    {{1.28943695621391310e1, -1.51111514016986312e1, -2.23307578892655734e-1},
     {2.96460137564761618e-3 * DAYS, 2.37847173959480950e-3 * DAYS, -2.96589568540237556e-5 * DAYS},
     4.36624404335156298e-5 * SOLAR_MASS},
    {{1.53796971148509165e1, -2.59193146099879641e1, 1.79258772950371181e-1},
     {2.68067772490389322e-3 * DAYS, 1.62824170038242295e-3 * DAYS, -9.51592254519715870e-5 * DAYS},
     5.15138902046611451e-5 * SOLAR_MASS},
};

static void advance(struct body *b, int n, double dt) {
  for (int i = 0; i < n; i++) {
    for (int j = i + 1; j < n; j++) {
      double d[3], square = 0;
      for (int k = 0; k < 3; k++) {
        d[k] = b[i].x[k] - b[j].x[k];
        square += d[k] * d[k];
      }
      double force = dt / (square * sqrt(square));
      for (int k = 0; k < 3; k++) {
        b[i].v[k] -= d[k] * b[j].mass * force;
        b[j].v[k] += d[k] * b[i].mass * force;
      }
    }
  }
  for (int i = 0; i < n; i++)
    for (int k = 0; k < 3; k++) b[i].x[k] += dt * b[i].v[k];
}

int main(void) {
  for (int step = 0; step < 1000000; step++) advance(bodies, 5, 0.01);
  return answer(bits_of(bodies[0].x[0]) ^ bits_of(bodies[3].v[1]));
}
