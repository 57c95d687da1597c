#define GIVEN 42
