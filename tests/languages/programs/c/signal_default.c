#include <stdio.h>
#include <unistd.h>
int main(void) {
    int pipes[2];
    pipe(pipes);
    close(pipes[0]);
    printf("before\n");
    fflush(stdout);
    write(pipes[1], "x", 1);
    printf("never\n");
}
