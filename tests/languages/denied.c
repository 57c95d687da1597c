// Asks the kernel directly, with no library between, for everything that a cell is not to have. Numbers come first: a
// call per line "NAME NUMBER" on stdin, made without arguments that mean anything; then calls that would matter.
// Says "managed: NAME" for whatever worked.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void told(const char *name, long result) {
    if (result >= 0) printf("managed: %s\n", name);
}

int main(void) {
    char name[64];
    long number;
    while (scanf("%63s %ld", name, &number) == 2) {
        long result = syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
        if (result != -1 || (errno != EPERM && errno != ENOSYS)) printf("managed: %s %ld %d\n", name, result, errno);
    }
    long spaces[] = {CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP};
    for (unsigned n = 0; n < sizeof spaces / sizeof *spaces; n++) {
        told("unshare", syscall(SYS_unshare, spaces[n]));
        long pid = syscall(SYS_clone, spaces[n] | SIGCHLD, 0, 0, 0, 0);
        if (pid == 0) _exit(0);
        told("clone", pid);
    }
    told("clone parent", syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0));
    told("mount", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, 0));
    told("umount", syscall(SYS_umount2, "/proc", MNT_DETACH));
    told("pivot_root", syscall(SYS_pivot_root, ".", "."));
    told("chroot", syscall(SYS_chroot, "/tmp"));
    told("setuid 0", syscall(SYS_setresuid, 0, 0, 0));
    told("setgid 0", syscall(SYS_setresgid, 0, 0, 0));
    told("ptrace", syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0));
    told("raw socket", syscall(SYS_socket, AF_INET, SOCK_RAW, 1));
    told("packet socket", syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0));
    told("nice", syscall(SYS_setpriority, PRIO_PROCESS, 0, -20));
    told("mknod", syscall(SYS_mknodat, AT_FDCWD, "disk", S_IFBLK | 0600, 0x800));
    told("write root", syscall(SYS_openat, AT_FDCWD, "/usr/mine", O_CREAT | O_WRONLY, 0644));
    told("write host", syscall(SYS_openat, AT_FDCWD, "/evalpool/mine", O_CREAT | O_WRONLY, 0644));
    told("root of pid 1", syscall(SYS_openat, AT_FDCWD, "/proc/1/root", O_RDONLY | O_DIRECTORY, 0));
    syscall(SYS_kill, 1, SIGKILL);  // whatever it says: if it had an effect, nobody would say "done"
    struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};
    told("more processes", syscall(SYS_prlimit64, 0, RLIMIT_NPROC, &more, 0));
    told("more memory of locks", syscall(SYS_prlimit64, 0, RLIMIT_MEMLOCK, &more, 0));
    told("a capability", syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0));
    told("new privileges", syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    // A filter of its own that allows all comes on top of ours, and allows nothing more.
    struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog filter = {1, all};
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
    told("unshare after a filter", syscall(SYS_unshare, CLONE_NEWUSER));
    for (int fd = 3; fd < 1024; fd++) told("descriptor", fcntl(fd, F_GETFD));
    printf("done\n");
}
