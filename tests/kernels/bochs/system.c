/* A system for one program: its memory, its signals and the few of Linux's system calls that the tests make.
 *
 * SDM is volume 3 of Intel's Software Developer's Manual, psABI the System V ABI for AMD64. */
#define _DEFAULT_SOURCE
#include "system.h"

#include <asm/prctl.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

/* These are in run.py, too: how much memory there is, and what is where in the ROM. */
#define MEMORY (64 << 20)
#define ROM_PROGRAM 0xFFE00000
#define ROM_ARGUMENTS 0xFFFEF000

/* The program's memory begins above the system and what else a PC has in the first MB. */
#define PROGRAM_MEMORY (1 << 20)
#define STACK_SIZE (1 << 20)

/* The statuses of a shell. */
#define CANNOT_RUN 126
#define KILLED_BY 128

/* boot.S */
extern uint64_t gdt[], giga_table[];
extern char system_stack[];
void invalid_opcode(void);
void general_protection(void);
void page_fault(void);
void syscall_entry(void);
_Noreturn void enter(uintptr_t first, uintptr_t second, uintptr_t address, uintptr_t stack);

/* What the CPU pushes for an exception. */
typedef struct {
    uintptr_t address;
    uintptr_t code_segment;
    uintptr_t flags;
    uintptr_t stack;
    uintptr_t stack_segment;
} frame;

/* Called by boot.S. */
_Noreturn void start(void);
_Noreturn void raise_signal(int number, uintptr_t address, const frame *at);
long system_call(long first, long second, long third, long number);

/* There is no library, but the compiler may call these two. */
void *memset(void *to, int byte, size_t size) {
    void *end = to;
    __asm__ volatile("rep stosb" : "+D"(end), "+c"(size) : "a"(byte) : "memory");
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    void *end = to;
    __asm__ volatile("rep movsb" : "+D"(end), "+S"(from), "+c"(size) : : "memory");
    return to;
}

static void out(uint16_t port, uint8_t byte) { __asm__ volatile("outb %0, %1" : : "a"(byte), "Nd"(port)); }

static void write_msr(uint32_t number, uint64_t value) {
    __asm__ volatile("wrmsr" : : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* The parallel ports. Bochs writes to a file what is printed on each: on the first what the program writes, on the
 * second its status. */
enum { OUTPUT = 0x378, STATUS = 0x278 };
enum { CONTROL = 2, READY = 0x0C, STROBE = 0x0D };

static void print(uint16_t printer, uint8_t byte) {
    out(printer, byte);
    out(printer + CONTROL, STROBE);
    out(printer + CONTROL, READY);
}

/* Bochs ends when it reads the word "Shutdown" here. */
enum { SHUTDOWN_PORT = 0x8900 };

static _Noreturn void end(int status) {
    print(STATUS, (uint8_t)status);
    for (const char *letter = "Shutdown"; *letter != 0; letter++) {
        out(SHUTDOWN_PORT, (uint8_t)*letter);
    }
    for (;;) {
        __asm__ volatile("hlt");
    }
}

/* The tables' entries, one for each page. What is mapped has the same address as in the RAM. */
static uint64_t pages[MEMORY / PAGE] __attribute__((section(".tables"), aligned(PAGE)));
enum { ENTRIES_OF_TABLE = PAGE / sizeof *pages };

/* Where the next memory is taken from. */
static uintptr_t unused;

/* The number of the first page that begins there or behind. */
static uintptr_t page_from(uintptr_t address) { return (address + PAGE - 1) / PAGE; }

/* The CPU keeps entries until it is told of tables, even of the same. */
static void forget_old_entries(void) {
    uintptr_t table;
    __asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(table) : : "memory");
}

static long protect(uintptr_t address, size_t size, int rights) {
    if (address < PROGRAM_MEMORY || address + size > MEMORY) {
        return -ENOMEM;
    }
    uint64_t flags = rights == PROT_NONE ? 0 : PAGE_PRESENT | PAGE_USER;
    flags |= rights & PROT_WRITE ? PAGE_WRITABLE : 0;
    for (uintptr_t page = address / PAGE; page < page_from(address + size); page++) {
        pages[page] = page * PAGE | flags;
    }
    forget_old_entries();
    return 0;
}

/* Maps memory that is zero. The page behind it stays unmapped. */
static long map(uintptr_t address, size_t size, int rights) {
    long error = protect(address, size, PROT_WRITE);
    if (error != 0) {
        return error;
    }
    memset((void *)address, 0, size);
    unused = (page_from(address + size) + 1) * PAGE;
    return protect(address, size, rights);
}

static long allocate(size_t size, int rights) {
    uintptr_t address = unused;
    long error = map(address, size, rights);
    return error != 0 ? error : (long)address;
}

/* Maps the memory below the program's, for the system only. */
static void map_system(void) {
    static uint64_t tables[ENTRIES_OF_TABLE] __attribute__((aligned(PAGE)));
    for (uintptr_t page = 0; page < MEMORY / PAGE; page++) {
        pages[page] = page < PROGRAM_MEMORY / PAGE ? page * PAGE | PAGE_PRESENT | PAGE_WRITABLE : 0;
    }
    for (size_t i = 0; i < MEMORY / PAGE / ENTRIES_OF_TABLE; i++) {
        tables[i] = (uintptr_t)&pages[i * ENTRIES_OF_TABLE] | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER;
    }
    giga_table[0] = (uintptr_t)tables | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER;
    forget_old_entries();
}

/* What the system call rt_sigaction is given; the C library's struct is another one. */
typedef struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
} action;

static action actions[NSIG];

/* What a function may use below its stack pointer (psABI, "The Stack Frame"). */
enum { RED_ZONE = 128 };

/* Calls the program's handler, which may exit or jump, but not return: the registers are lost. If it does return, then
 * to the restorer, which makes a system call. */
_Noreturn void raise_signal(int number, uintptr_t address, const frame *at) {
    const action *taken = &actions[number];
    if (taken->handler == SIG_DFL || at->code_segment == SYSTEM_CODE) {
        end(KILLED_BY + number);
    }
    siginfo_t *info = (siginfo_t *)((at->stack - RED_ZONE - sizeof(siginfo_t)) & ~(uintptr_t)15);
    memset(info, 0, sizeof *info);
    info->si_signo = number;
    info->si_addr = (void *)address;
    uintptr_t *stack = (uintptr_t *)info - 1;
    *stack = (uintptr_t)taken->restorer;
    enter((uintptr_t)number, (uintptr_t)info, (uintptr_t)taken->handler, (uintptr_t)stack);
}

/* SDM, "Exception and Interrupt Reference". Any other makes Bochs give up, over a triple fault. */
enum { INVALID_OPCODE = 6, GENERAL_PROTECTION = 13, PAGE_FAULT = 14, EXCEPTIONS };

/* SDM, "64-Bit Mode IDT". The system is below 4 GB. */
static uint64_t idt[EXCEPTIONS][2];

static void set_handler(size_t exception, uintptr_t handler) {
    const uint64_t present_interrupt_gate = 0x8E;
    idt[exception][0] =
        (handler & 0xFFFF) | SYSTEM_CODE << 16 | present_interrupt_gate << 40 | (handler & 0xFFFF0000) << 32;
}

static void handle_exceptions(void) {
    set_handler(INVALID_OPCODE, (uintptr_t)invalid_opcode);
    set_handler(GENERAL_PROTECTION, (uintptr_t)general_protection);
    set_handler(PAGE_FAULT, (uintptr_t)page_fault);
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = {sizeof idt - 1, (uintptr_t)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

/* Says which stack an exception changes to: the field RSP0 (SDM, "Task Management in 64-bit Mode"). */
static void set_exception_stack(void) {
    static uint32_t state[26];
    enum { RSP0 = 1 };
    const uint64_t present_task_state = 0x89;
    state[RSP0] = (uint32_t)(uintptr_t)system_stack;
    gdt[TASK_STATE / sizeof *gdt] = (sizeof state - 1) | (uintptr_t)state << 16 | present_task_state << 40;
    __asm__ volatile("ltr %w0" : : "r"(TASK_STATE));
}

/* SDM, "Fast System Calls in 64-Bit Mode" and "Segment Loading Instructions in IA-32e Mode". */
#define MSR_STAR 0xC0000081
#define MSR_LSTAR 0xC0000082
#define MSR_FS_BASE 0xC0000100

static void accept_system_calls(void) {
    const uint64_t before_program_segments = PROGRAM_DATA - sizeof *gdt;
    write_msr(MSR_STAR, before_program_segments << 48 | (uint64_t)SYSTEM_CODE << 32);
    write_msr(MSR_LSTAR, (uintptr_t)syscall_entry);
}

static long set_thread_pointer(long code, uintptr_t address) {
    if (code != ARCH_SET_FS) {
        return -EINVAL;
    }
    write_msr(MSR_FS_BASE, address);
    return 0;
}

/* For Bochs, the time stamp is the number of instructions so far. It runs about so many in a second. */
static long get_time(struct timespec *time) {
    const uint64_t second = 50000000;
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    uint64_t now = (uint64_t)high << 32 | low;
    time->tv_sec = (time_t)(now / second);
    time->tv_nsec = (long)(now % second * 1000000000 / second);
    return 0;
}

static long write_bytes(const uint8_t *bytes, long size) {
    for (long i = 0; i < size; i++) {
        print(OUTPUT, bytes[i]);
    }
    return size;
}

static long set_action(long number, const action *wanted) {
    actions[number] = *wanted;
    return 0;
}

long system_call(long first, long second, long third, long number) {
    switch (number) {
    case SYS_write:
        return write_bytes((const uint8_t *)second, third);
    case SYS_mmap:
        return allocate((size_t)second, (int)third);
    case SYS_mprotect:
        return protect((uintptr_t)first, (size_t)second, (int)third);
    case SYS_rt_sigaction:
        return set_action(first, (const action *)second);
    case SYS_arch_prctl:
        return set_thread_pointer(first, (uintptr_t)second);
    case SYS_clock_gettime:
        return get_time((struct timespec *)second);
    case SYS_exit_group:
        end((int)first);
    case SYS_rt_sigreturn:
        end(KILLED_BY + SIGSYS);
    default:
        return -ENOSYS; /* the C library can do without: for brk it takes mmap */
    }
}

/* Maps the program, a file of the format ELF, and returns its entry. */
static uintptr_t load(const uint8_t *file) {
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
    const Elf64_Phdr *part = (const Elf64_Phdr *)(file + header->e_phoff);
    for (const Elf64_Phdr *last = part + header->e_phnum; part < last; part++) {
        if (part->p_type != PT_LOAD) {
            continue;
        }
        if (map(part->p_vaddr, part->p_memsz, PROT_WRITE) != 0) {
            end(CANNOT_RUN);
        }
        memcpy((void *)part->p_vaddr, file + part->p_offset, part->p_filesz);
        protect(part->p_vaddr, part->p_memsz, part->p_flags & PF_W ? PROT_WRITE : PROT_READ);
    }
    return header->e_entry;
}

/* Lays out what a program finds on its stack (psABI, "Process Initialization"), and returns its place. The arguments
 * are strings, of which the last is empty; there is no environment. */
static uintptr_t new_stack(void) {
    const char *text = (const char *)allocate(PAGE, PROT_WRITE);
    memcpy((void *)text, (const void *)ROM_ARGUMENTS, PAGE);
    uintptr_t *count = (uintptr_t *)(allocate(STACK_SIZE, PROT_WRITE) + STACK_SIZE - PAGE);
    uintptr_t *word = count + 1;
    const uintptr_t any_bytes = (uintptr_t)text;
    while (*text != 0) {
        *word++ = (uintptr_t)text;
        (*count)++;
        while (*text++ != 0) {
        }
    }
    *word++ = 0;
    *word++ = 0;
    *word++ = AT_RANDOM;
    *word++ = any_bytes;
    *word++ = AT_NULL;
    return (uintptr_t)count;
}

_Noreturn void start(void) {
    map_system();
    set_exception_stack();
    handle_exceptions();
    accept_system_calls();
    uintptr_t entry = load((const uint8_t *)ROM_PROGRAM);
    enter(0, 0, entry, new_stack());
}
