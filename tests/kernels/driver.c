/* Tests all kernels that this CPU can run, without Python.
 *
 *   kernels [--quick] [--list] [--mask=NAMES] [--utf8=NAMES] [--seed=NUMBER] [NAME...]
 *
 * NAME       tests kernels of these names only
 * --quick    takes a part of each check, for emulators and sanitizers
 * --list     prints the kernels that this CPU can run, and ends
 * --mask=sse2,portable  and  --utf8=portable  demand that the CPU can run exactly these, in that order
 * --without=avx2  demands that the CPU refuses the instructions of that kernel; an emulator might just run them
 */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"

/* The arguments that are names of kernels. */
static char **wanted;
static int wanted_count;

static int is_wanted(const char *name) {
    int found = wanted_count == 0;
    for (int i = 0; i < wanted_count; i++) {
        found |= strcmp(wanted[i], name) == 0;
    }
    return found;
}

/* The usable kernels, best first, with commas between. */
static const char *usable_mask(void) {
    static char names[200];
    names[0] = 0;
    for (size_t i = 0; wsc_mask_kernels[i] != NULL; i++) {
        if (wsc_cpu_has(wsc_mask_kernels[i]->level)) {
            strcat(strcat(names, names[0] ? "," : ""), wsc_mask_kernels[i]->name);
        }
    }
    return names;
}

static const char *usable_utf8(void) {
    static char names[200];
    names[0] = 0;
    for (size_t i = 0; wsc_utf8_kernels[i] != NULL; i++) {
        if (wsc_cpu_has(wsc_utf8_kernels[i]->level)) {
            strcat(strcat(names, names[0] ? "," : ""), wsc_utf8_kernels[i]->name);
        }
    }
    return names;
}

static void demand(const char *what, const char *expected, const char *got) {
    if (strcmp(expected, got) != 0) {
        printf("FAILED: this CPU should run the %s kernels %s, but runs %s\n", what, expected, got);
        exit(1);
    }
}

static sigjmp_buf refused;
static void on_refusal(int number) { siglongjmp(refused, number); }

/* Runs a kernel that the CPU is not said to have, and expects an illegal instruction. */
static int runs_mask(const wsc_mask_kernel *kernel) {
    uint8_t bytes[500] = {0};
    if (sigsetjmp(refused, 1) != 0) {
        return 0;
    }
    kernel->mask(bytes, bytes, sizeof bytes, 1);
    return 1;
}

static int runs_utf8(const wsc_utf8_kernel *kernel) {
    static const uint8_t bytes[500] = "\xC3\xA9";
    if (sigsetjmp(refused, 1) != 0) {
        return 0;
    }
    wsc_text text;
    kernel->valid(bytes, sizeof bytes);
    if (kernel->measure != NULL) {
        kernel->measure(bytes, sizeof bytes, &text);
    }
    return 1;
}

static void demand_refusal(const char *name) {
    signal(SIGILL, on_refusal);
    int ran = 0;
    int known = 0;
    for (size_t i = 0; wsc_mask_kernels[i] != NULL; i++) {
        if (strcmp(wsc_mask_kernels[i]->name, name) == 0) {
            known = 1;
            ran |= runs_mask(wsc_mask_kernels[i]);
        }
    }
    for (size_t i = 0; wsc_utf8_kernels[i] != NULL; i++) {
        if (strcmp(wsc_utf8_kernels[i]->name, name) == 0) {
            known = 1;
            ran |= runs_utf8(wsc_utf8_kernels[i]);
        }
    }
    signal(SIGILL, SIG_DFL);
    if (!known || ran) {
        printf("FAILED: this CPU should refuse the kernel %s, but %s\n", name, known ? "ran it" : "there is none");
        exit(1);
    }
    printf("refused as it should be: %s\n", name);
}

static double seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static void print_result(const char *operation, const char *kernel, const char *what, size_t cases, double since) {
    printf("%s %-8s %10zu ok, %5.1f s: %s\n", operation, kernel, cases, seconds() - since, what);
}

static void run_mask(const wsc_mask_kernel *kernel) {
    for (const mask_check *check = mask_checks; check->run != NULL; check++) {
        double since = seconds();
        size_t cases = check->run(kernel);
        print_result("mask", kernel->name, check->what, cases, since);
    }
}

static void run_utf8(const wsc_utf8_kernel *kernel) {
    static const utf8_check *const all[] = {valid_checks, ucs_checks, feed_checks};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i] == ucs_checks && kernel->to_ucs1 == NULL) {
            continue;
        }
        for (const utf8_check *check = all[i]; check->run != NULL; check++) {
            double since = seconds();
            size_t cases = check->run(kernel);
            print_result("utf8", kernel->name, check->what, cases, since);
        }
    }
}

/* The value of an option, or NULL if the argument is another one. */
static const char *value_of(const char *argument, const char *option) {
    size_t size = strlen(option);
    return strncmp(argument, option, size) == 0 ? argument + size : NULL;
}

static void take_option(const char *argument) {
    const char *value;
    if (strcmp(argument, "--quick") == 0) {
        quick = 1;
    } else if (strcmp(argument, "--list") == 0) {
        exit(0);
    } else if ((value = value_of(argument, "--mask=")) != NULL) {
        demand("mask", value, usable_mask());
    } else if ((value = value_of(argument, "--utf8=")) != NULL) {
        demand("utf8", value, usable_utf8());
    } else if ((value = value_of(argument, "--without=")) != NULL) {
        demand_refusal(value);
    } else if ((value = value_of(argument, "--seed=")) != NULL) {
        seed = strtoull(value, NULL, 0);
    } else {
        printf("unknown option %s\n", argument);
        exit(2);
    }
}

int main(int count, char **arguments) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("mask: %s\nutf8: %s\n", usable_mask(), usable_utf8());
    wanted = arguments + 1;
    for (int i = 1; i < count; i++) {
        if (arguments[i][0] == '-') {
            take_option(arguments[i]);
        } else {
            wanted[wanted_count++] = arguments[i];
        }
    }
    printf("seed: 0x%llx\n", (unsigned long long)seed);
    catch_faults();
    size_t tested = 0;
    for (size_t i = 0; wsc_mask_kernels[i] != NULL; i++) {
        if (wsc_cpu_has(wsc_mask_kernels[i]->level) && is_wanted(wsc_mask_kernels[i]->name)) {
            run_mask(wsc_mask_kernels[i]);
            tested++;
        }
    }
    for (size_t i = 0; wsc_utf8_kernels[i] != NULL; i++) {
        if (wsc_cpu_has(wsc_utf8_kernels[i]->level) && is_wanted(wsc_utf8_kernels[i]->name)) {
            run_utf8(wsc_utf8_kernels[i]);
            tested++;
        }
    }
    if (tested == 0) {
        printf("FAILED: no kernel was tested\n");
        return 1;
    }
    printf("%zu kernels tested in %.1f s\n", tested, seconds());
    return 0;
}
