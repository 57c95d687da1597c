#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
int main(void) {
    char *block = malloc(64 << 20);
    memset(block, 1, 64 << 20);
    void *reserved = mmap(0, 1L << 36, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    printf("%d %d\n", block[1000], reserved != MAP_FAILED);
}
