// Stands in for Python in an image of its own: says what a launch finds in its container, and ends as a harness does that cannot run.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *can(const char *path, const char *mode) {
    FILE *file = fopen(path, mode);
    if (file) fclose(file);
    return file ? "yes" : "no";
}

int main() {
    printf("devices:");
    if (DIR *folder = opendir("/dev")) {
        while (dirent *entry = readdir(folder)) printf(" %s", entry->d_name);
        closedir(folder);
    }
    const char *path = getenv("LD_LIBRARY_PATH");
    printf("\nlibraries: %s, driver %s\n", path ? path : "", can("/benchmatrix/driver/libcuda.so.1", "r"));
    printf("user: %d:%d\n", getuid(), getgid());
    printf("reads: cells %s, harness %s\n", can("/out/cells.json", "r"), can("/benchmatrix/harness/cell.py", "r"));
    printf("writes: out %s, tmp %s, harness %s, root %s\n", can("/out/seen", "w"), can("/tmp/seen", "w"),
           can("/benchmatrix/harness/seen", "w"), can("/seen", "w"));
    fflush(stdout);
    const char *seconds = getenv("PROBE_SECONDS");
    sleep(seconds ? atoi(seconds) : 0);
    return 3;
}
