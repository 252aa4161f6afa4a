/* What boot.S and system.c both need to know. */
#ifndef SYSTEM_H
#define SYSTEM_H

/* Segments, by their place in gdt. The instructions syscall and sysret demand this order of the system's code and
 * data, and of the program's data and code (SDM, "Fast System Calls in 64-Bit Mode"). */
#define SYSTEM_CODE_32 0x08
#define SYSTEM_CODE 0x10
#define SYSTEM_DATA 0x18
#define PROGRAM_DATA 0x20
#define PROGRAM_CODE 0x28
#define TASK_STATE 0x30

/* Page tables and the flags of their entries (SDM, "4-Level Paging and 5-Level Paging"). */
#define PAGE 4096
#define PAGE_PRESENT 0x01
#define PAGE_WRITABLE 0x02
#define PAGE_USER 0x04
#define PAGE_HUGE 0x80

#endif
