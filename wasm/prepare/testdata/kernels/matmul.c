/* A product of two matrices of doubles, row by row. */
#include "kernel.h"

#define N 240
static double a[N][N], b[N][N], c[N][N];

int main(void) {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      a[i][j] = (i * 7 + j * 3) % 11 * 0.25;
      b[i][j] = (i * 5 + j * 13) % 17 * 0.125;
    }
  for (int round = 0; round < 8; round++)
    for (int i = 0; i < N; i++)
      for (int k = 0; k < N; k++)
        for (int j = 0; j < N; j++) c[i][j] += a[i][k] * b[k][j];
  double sum = 0;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) sum += c[i][j] * (i + 1);
  return answer(bits_of(sum));
}
