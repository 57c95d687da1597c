#include "lib/given.h"
#include <stdio.h>
int main(void) { printf("%d %s\n", GIVEN, __FILE__); }
