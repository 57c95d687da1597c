#include <stdio.h>
int main(void) {
    printf("before\n");
    fflush(stdout);
    volatile int *nothing = 0;
    return *nothing;
}
