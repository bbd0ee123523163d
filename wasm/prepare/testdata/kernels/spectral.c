/* The spectral norm of an infinite matrix (after the Computer Language Benchmarks Game). */
#include <math.h>
#include "kernel.h"

#define N 400
static double u[N], v[N], t[N];

static double element(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static void times(const double *x, double *y) {
  for (int i = 0; i < N; i++) {
    double s = 0;
    for (int j = 0; j < N; j++) s += element(i, j) * x[j];
    y[i] = s;
  }
}

static void times_transposed(const double *x, double *y) {
  for (int i = 0; i < N; i++) {
    double s = 0;
    for (int j = 0; j < N; j++) s += element(j, i) * x[j];
    y[i] = s;
  }
}

int main(void) {
  for (int i = 0; i < N; i++) u[i] = 1;
  for (int i = 0; i < 40; i++) {
    times(u, t), times_transposed(t, v);
    times(v, t), times_transposed(t, u);
  }
  double vbv = 0, vv = 0;
  for (int i = 0; i < N; i++) vbv += u[i] * v[i], vv += v[i] * v[i];
  return answer(bits_of(sqrt(vbv / vv)));
}
