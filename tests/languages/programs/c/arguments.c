#include <stdio.h>
int main(int count, char **words) {
    for (int n = 0; n < count; n++) printf("[%s]", words[n]);
    fprintf(stderr, "to stderr\n");
    return count;
}
