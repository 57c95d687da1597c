#include <stdio.h>
int deep(int n) { volatile char room[4096]; room[0] = n; return deep(n + 1) + room[0]; }
int main(void) { printf("%d\n", deep(0)); }
