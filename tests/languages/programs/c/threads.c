#include <pthread.h>
#include <stdio.h>
static long total;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *work(void *argument) {
    for (long n = 0; n < 10000; n++) {
        pthread_mutex_lock(&lock);
        total += (long)argument;
        pthread_mutex_unlock(&lock);
    }
    return 0;
}
int main(void) {
    pthread_t threads[8];
    for (long n = 0; n < 8; n++) pthread_create(&threads[n], 0, work, (void *)n);
    for (int n = 0; n < 8; n++) pthread_join(threads[n], 0);
    printf("%ld\n", total);
}
