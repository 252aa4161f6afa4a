/* From the reset of the CPU to start() in long mode, and from there to the program and back.
 *
 * SDM is volume 3 of Intel's Software Developer's Manual, psABI the System V ABI for AMD64. */
#include "system.h"

/* Where the system is in the ROM: the last bytes below 4 GB (SDM, "First Instruction Executed"). */
#define ROM_SYSTEM 0xFFFF0000
#define IN_ROM(label) (ROM_SYSTEM + label - system)

#define CR0_PE 0x00000001 /* protection */
#define CR0_MP 0x00000002 /* an FPU */
#define CR0_ET 0x00000010
#define CR0_NE 0x00000020 /* its errors are exceptions */
#define CR0_WP 0x00010000 /* read-only pages are so for the system, too: write() must not get round them */
#define CR0_PG 0x80000000 /* paging */

#define CR4_PAE 0x00020
#define CR4_OSFXSR 0x00200 /* SSE */
#define CR4_OSXMMEXCPT 0x00400
#define CR4_OSXSAVE 0x40000 /* XGETBV, and with it AVX */

#define MSR_EFER 0xC0000080
#define EFER_SCE 0x001 /* the instruction syscall */
#define EFER_LME 0x100 /* long mode */

/* x87, SSE, AVX and the three states of AVX-512 (volume 1, "XSAVE-Supported Features and State-Component Bitmaps").
 * CPUID tells which of them the CPU has. */
#define CPUID_XSAVE 0x0D
#define XCR0_STATES 0xE7

#define FLAGS 0x2 /* bit 1 is always set; no interrupts */

#define SIGILL 4
#define SIGSEGV 11
#define ERROR_CODE 8 /* bytes */

    .section .boot, "awx"
system:
    .code16
/* Real mode, in the ROM. */
real_mode:
    lgdtl %cs:gdt_in_rom - system
    movl $CR0_PE, %eax
    movl %eax, %cr0
    ljmpl $SYSTEM_CODE_32, $IN_ROM(copy_system)

    .code32
/* Still in the ROM, but the system must be where it can write to its variables. */
copy_system:
    movw $SYSTEM_DATA, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    cld
    movl $ROM_SYSTEM, %esi
    movl $system, %edi
    movl $SYSTEM_SIZE, %ecx
    rep movsb
    movl $enter_long_mode, %eax
    jmp *%eax

/* SDM, "Initializing IA-32e Mode". */
enter_long_mode:
    lgdt gdt_in_ram
    movl $CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE, %eax
    movl %eax, %cr4
    movl $top_table, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME | EFER_SCE, %eax
    wrmsr
    movl $CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE, %eax
    movl %eax, %cr0
    ljmpl $SYSTEM_CODE, $long_mode

    .code64
long_mode:
    movl $CPUID_XSAVE, %eax
    xorl %ecx, %ecx
    cpuid
    andl $XCR0_STATES, %eax
    xorl %edx, %edx
    xorl %ecx, %ecx
    xsetbv
    movl $system_stack, %esp
    call start

/* _Noreturn void enter(uintptr_t first, uintptr_t second, uintptr_t address, uintptr_t stack): leaves for the program,
 * with two arguments. The third is zero: for a program that starts, it would be a function to call at exit (psABI,
 * "Process Initialization"). */
    .globl enter
enter:
    movq %rcx, %rsp
    movq %rdx, %rcx
    xorl %edx, %edx
    movl $FLAGS, %r11d
    sysretq

/* Where the instruction syscall leads: the number is in RAX, arguments in RDI, RSI and RDX, the address to return to in
 * RCX and the flags in R11. All registers but RAX, RCX and R11 are kept (psABI, "AMD64 Linux Kernel Conventions"), of
 * which system_call() would lose some. */
    .globl syscall_entry
syscall_entry:
    movq %rsp, program_stack
    movl $system_stack, %esp
    pushq %rcx
    pushq %r11
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %r8
    pushq %r9
    pushq %r10
    movq %rax, %rcx
    call system_call
    popq %r10
    popq %r9
    popq %r8
    popq %rdx
    popq %rsi
    popq %rdi
    popq %r11
    popq %rcx
    movq program_stack, %rsp
    sysretq

program_stack:
    .quad 0

/* Exceptions, which end in raise_signal(number, address, frame). The frame is what the CPU has pushed, but for an error
 * code that comes last with two of them. It leaves the stack aligned as a call does. */
    .globl invalid_opcode, general_protection, page_fault
invalid_opcode:
    movl $SIGILL, %edi
    movq (%rsp), %rsi
    movq %rsp, %rdx
    jmp raise_signal
general_protection:
    addq $ERROR_CODE, %rsp
    movl $SIGSEGV, %edi
    xorl %esi, %esi
    movq %rsp, %rdx
    jmp raise_signal
page_fault:
    addq $ERROR_CODE, %rsp
    movl $SIGSEGV, %edi
    movq %cr2, %rsi
    movq %rsp, %rdx
    jmp raise_signal

/* Segments of all memory (SDM, "Segment Descriptors"), as numbered in system.h. They are marked as accessed, which the
 * CPU could not do in the ROM. */
    .balign 8
    .globl gdt
gdt:
    .quad 0
    .quad 0x00CF9B000000FFFF /* the system's code, 32 bits */
    .quad 0x00AF9B000000FFFF /* the system's code */
    .quad 0x00CF93000000FFFF /* the system's data */
    .quad 0x00CFF3000000FFFF /* the program's data */
    .quad 0x00AFFB000000FFFF /* the program's code */
    .quad 0, 0 /* the task state, by start() */
gdt_end:
gdt_in_rom:
    .word gdt_end - gdt - 1
    .long IN_ROM(gdt)
gdt_in_ram:
    .word gdt_end - gdt - 1
    .long gdt

/* All of the first 4 GB, each at its own address, for the system only. start() divides the first of them. */
    .balign PAGE
top_table:
    .quad giga_table + (PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER)
    .balign PAGE
    .globl giga_table
giga_table:
    .set giga, 0
    .rept 4
    .quad (giga << 30) + (PAGE_PRESENT | PAGE_WRITABLE | PAGE_HUGE)
    .set giga, giga + 1
    .endr
    .balign PAGE

    .fill PAGE
    .globl system_stack
system_stack:

    .section .reset, "ax"
    .code16
    jmp real_mode

    .section .note.GNU-stack, "", @progbits
