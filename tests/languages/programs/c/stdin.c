#include <stdio.h>
int main(void) {
    int a, b;
    while (scanf("%d %d", &a, &b) == 2) printf("%d\n", a + b);
    printf("%.10f %g %a\n", 1.0 / 3, 1e100, 0.1);
}
