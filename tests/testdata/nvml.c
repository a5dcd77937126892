/* A stub of NVML for tests/predictors/llm/test_gpus.py: two devices, and a part (MIG) of a third.
 * Functions, structures and codes: https://docs.nvidia.com/deploy/nvml-api/
 * $NVML_STUB is a file: "lost" in it takes the first device away, "absent" the driver. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int gpu, memory; } utilization_t;

static int is(const char *word) {
    char text[32] = "";
    FILE *file = fopen(getenv("NVML_STUB"), "r");
    if (file) {
        if (!fgets(text, sizeof text, file)) text[0] = 0;
        fclose(file);
    }
    return !strcmp(text, word);
}

static int state(long device) { return device == 1 && is("lost") ? GPU_IS_LOST : SUCCESS; }

int nvmlInitWithFlags(unsigned int flags) { return is("absent") ? DRIVER_NOT_LOADED : SUCCESS; }
const char *nvmlErrorString(int code) { return "a stub's error"; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    if (index > 1) return NOT_FOUND;
    *device = (void *)(long)(index + 1);
    return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    if (strcmp(uuid, "MIG-aaaa") && strcmp(uuid, "GPU-bbbb")) return NOT_FOUND;
    *device = (void *)(long)(uuid[0] == 'M' ? 3 : 2);
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *device, utilization_t *rates) {
    if ((long)device == 3) return NOT_SUPPORTED;
    rates->gpu = 25 * (long)device;
    return state((long)device);
}

int nvmlDeviceGetMemoryInfo(void *device, memory_t *memory) {
    memory->total = 1000 * (long)device;
    memory->used = 10 * (long)device;
    return state((long)device);
}
