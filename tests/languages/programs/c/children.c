#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    int pipes[2], status;
    char text[16] = "";
    pipe(pipes);
    if (fork() == 0) { write(pipes[1], "child", 5); _exit(7); }
    wait(&status);
    read(pipes[0], text, sizeof text);
    printf("%s %d %d\n", text, WEXITSTATUS(status), system("exit 3") >> 8);
    fflush(stdout);
    if (signal(SIGPIPE, SIG_DFL) == SIG_DFL && signal(SIGXFSZ, SIG_DFL) == SIG_DFL) printf("default\n");
    return getenv("HOME") == 0;
}
