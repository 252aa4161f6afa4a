/* The load of the network benchmark and of the soak; Linux only. One core, no allocation and no masking while the clock
 * runs.
 *
 *     load echo PORT CONNECTIONS SERVER_PID SECONDS SPIN SIZE IN_FLIGHT
 *     load fanout PORT CONNECTIONS SERVER_PID SECONDS SPIN
 *     load idle PORT CONNECTIONS
 *     load soak PORT CONNECTIONS OTHER_PORT SECONDS STEP ACTIVE RATE CHURN
 *
 * echo: each connection keeps IN_FLIGHT text messages of SIZE bytes on their way; for all the echoes that one read
 * completes it sends as many messages more, in one write. fanout: one more connection says "go", and the time is taken
 * until all others have got the server's message. idle: says when the connections are open, and holds them until
 * stdin is closed. The first two print one line of JSON. Where SPIN is 1, the load never sleeps, so that the server
 * never has to wake it. soak: every other connection goes to OTHER_PORT; the first ACTIVE of them send RATE messages a
 * second between them, of all kinds and sizes, and compare each echo; CHURN of all a second are closed and opened
 * again. It prints a line of JSON every STEP seconds, the last one when all echoes have come, and then holds the
 * connections until stdin is closed. Whatever the server does wrong ends the program with 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, FIN = 0x80, MASKED = 0x80 };
enum {
    LONGEST_CONTROL = 125,
    KEY_SIZE = 4,
    LONGEST_HEADER = 10,
    READ_SIZE = 1 << 18,
    READY = 64,           /* events per epoll_wait */
    CHECKED = 64,         /* of so many echoes one is compared bytewise, the first of each connection included */
    POOL_SIZE = 1 << 23,  /* about so many bytes of different messages, ... */
    POOL_COUNT = 1 << 10, /* ... but no more messages than that */
    FANOUT_SIZE = 128,    /* what the servers send as a fan-out: the digits from 0 to 9 and on, see digits() */
    PATIENCE = 20000,     /* milliseconds without any event, until we give up */
    STEPS = 64,           /* steps of the histogram for each doubling of the time */
    BUCKETS = STEPS * 40,
    BURST = 8,        /* soak: the most messages that a connection sends at a time */
    TICK = 2,         /* soak: milliseconds between two looks at what is to be done */
    SMALL = 200,      /* soak: the most bytes of a message, of nearly all, ... */
    MIDDLE = 1 << 14, /* ... of one of MIDDLE_ONE ... */
    BIG = 200000,     /* ... and of one of BIG_ONE */
    MIDDLE_ONE = 32,
    BIG_ONE = 256,
    FRAGMENTED_ONE = 16, /* soak: of so many messages one is sent in two fragments */
    CUT_ONE = 4,         /* soak: of so many reopened connections one had ended without a word */
};
static const double WARM_UP = 0.5; /* seconds */
static const uint64_t NONE = UINT64_MAX;

typedef struct {
    unsigned opcode;
    size_t size;
    const uint8_t *payload;
    const uint8_t *frame; /* as it is sent, up to where the next one's begins */
} message;

typedef struct {
    int fd;
    bool wants_room; /* epoll says when there is room to write */

    uint64_t start;   /* the place of its first message in the pool */
    uint64_t sent;    /* messages sent in full */
    uint64_t allowed; /* soak: how many it may have sent by now */
    uint64_t allowed_at;
    size_t offset; /* bytes sent of the next one */
    size_t pong_size;
    uint8_t pong[2 + KEY_SIZE + LONGEST_CONTROL];

    uint64_t received;       /* whole messages */
    bool in_frame;           /* its header is complete */
    bool may_close;          /* soak: a Close frame may come, ... */
    bool closed;             /* ... and has */
    const message *expected; /* what the frame should be */
    size_t held;             /* bytes of its header */
    uint64_t left;           /* bytes of its payload that are still to come */
    uint8_t header[LONGEST_HEADER];
    uint8_t control[LONGEST_CONTROL];

    uint64_t timed; /* the message whose time is taken, or NONE */
    uint64_t timed_at;
} connection;

/* The messages, made before the clock starts: as frames to send, and as payloads to compare the echoes with. */
static struct {
    uint64_t count;
    message *messages; /* `count`, and the first ones again, so that the frames of any IN_FLIGHT lie in one piece */
} pool;

static struct {
    uint64_t messages;
    uint64_t pings;
    uint64_t reads;
    uint64_t samples;
    uint64_t longest;
    uint64_t idle; /* nanoseconds spent spinning */
    uint64_t times[BUCKETS];
} count;

/* What the modes do differently. */
static struct {
    bool spin;
    int wait; /* the most milliseconds without an event; -1 for any time */
    uint64_t in_flight;
    size_t size;                                    /* of a message, for the report */
    uint64_t checked;                               /* one of so many is compared */
    const message *(*expected)(const connection *); /* what the server may send now; NULL where that is nothing */
} mode = {.wait = PATIENCE};

static int ready;
static connection *connections;
static uint64_t now;         /* nanoseconds, when the latest bytes were read */
static uint64_t waiting_for; /* messages of a fan-out that are still to come */
static uint8_t input[READ_SIZE];
static uint8_t digits_text[FANOUT_SIZE];
static const message digits_message = {.opcode = TEXT, .size = FANOUT_SIZE, .payload = digits_text};

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void must(bool succeeded, const char *what) {
    if (!succeeded) {
        fail("%s: %s", what, strerror(errno));
    }
}

static void *memory(uint64_t number, size_t size) {
    void *new = calloc((size_t)number, size);
    must(new != NULL, "memory");
    return new;
}

static uint64_t clock_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* xorshift: the same messages and keys in every run. */
static uint64_t random_bits(void) {
    static uint64_t state = 0x9E3779B97F4A7C15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* How long it took. */

static size_t bucket_of(uint64_t ns) {
    if (ns < STEPS) {
        return (size_t)ns;
    }
    unsigned shift = 57u - (unsigned)__builtin_clzll(ns); /* that leaves a number from STEPS to 2 * STEPS - 1 */
    size_t bucket = (size_t)shift * STEPS + (size_t)(ns >> shift);
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double microseconds_of(size_t bucket) {
    if (bucket < STEPS) {
        return (double)bucket / 1e3;
    }
    size_t shift = bucket / STEPS - 1;
    return ((double)(bucket - shift * STEPS) + 0.5) * (double)(1ull << shift) / 1e3;
}

static void add_time(uint64_t ns) {
    count.times[bucket_of(ns)]++;
    count.samples++;
    if (ns > count.longest) {
        count.longest = ns;
    }
}

static double quantile(double share) {
    uint64_t rank = (uint64_t)(share * (double)count.samples);
    uint64_t below = 0;
    size_t bucket = 0;
    while (bucket < BUCKETS - 1 && (below += count.times[bucket]) <= rank) {
        bucket++;
    }
    return microseconds_of(bucket);
}

/* How long a process worked, and how long it could have but had no core: what other programs took from it. */
typedef struct {
    double worked;
    double waited;
} effort;

static effort effort_of(const char *pid) {
    char path[64];
    unsigned long long worked = 0;
    unsigned long long waited = 0;
    snprintf(path, sizeof path, "/proc/%s/schedstat", pid);
    FILE *file = fopen(path, "r");
    must(file != NULL && fscanf(file, "%llu %llu", &worked, &waited) == 2, path);
    fclose(file);
    return (effort){(double)worked / 1e9, (double)waited / 1e9};
}

/* Frames. */

/* Writes the header of a masked frame; returns its size. */
static size_t put_header(uint8_t *to, unsigned first, uint64_t size) {
    size_t length_size = size < 126 ? 0 : size <= UINT16_MAX ? 2 : 8;
    to[0] = (uint8_t)first;
    to[1] = (uint8_t)(MASKED | (length_size == 0 ? size : length_size == 2 ? 126 : 127));
    for (size_t i = 0; i < length_size; i++) {
        to[2 + i] = (uint8_t)(size >> 8 * (length_size - 1 - i));
    }
    return 2 + length_size;
}

static size_t put_fragment(uint8_t *to, unsigned first, const uint8_t *payload, size_t size) {
    size_t begin = put_header(to, first, size);
    uint64_t bits = random_bits();
    uint8_t *key = to + begin;
    memcpy(key, &bits, KEY_SIZE);
    for (size_t i = 0; i < size; i++) {
        key[KEY_SIZE + i] = payload[i] ^ key[i % KEY_SIZE];
    }
    return begin + KEY_SIZE + size;
}

static size_t put_frame(uint8_t *to, unsigned opcode, const uint8_t *payload, size_t size) {
    return put_fragment(to, FIN | opcode, payload, size);
}

static void put_ascii(uint8_t *to, size_t size) {
    for (size_t i = 0; i < size; i++) {
        to[i] = (uint8_t)(' ' + random_bits() % 95);
    }
}

static void put_bytes(uint8_t *to, size_t size) {
    for (size_t i = 0; i < size; i++) {
        to[i] = (uint8_t)random_bits();
    }
}

/* Writes characters of 2 to 4 bytes each, and ASCII where there is no room for one more. */
static void put_characters(uint8_t *to, size_t size, size_t width) {
    static const uint8_t leads[] = {[2] = 0xC3, [3] = 0xE4, [4] = 0xF1};
    size_t whole = size - size % width;
    for (size_t i = 0; i < whole; i++) {
        to[i] = i % width == 0 ? leads[width] : (uint8_t)(0x80 | (random_bits() & 0x3F));
    }
    put_ascii(to + whole, size - whole);
}

/* What the messages of a mode are. */
typedef struct {
    void (*describe)(message *);                         /* sets opcode and size */
    void (*put_payload)(uint8_t *to, const message *);   /* writes `size` bytes */
    size_t (*put_message)(uint8_t *to, const message *); /* writes the frames; returns their size */
} making;

/* Describes `number` messages and the first ones again; returns how much memory payloads and frames may take. */
static size_t describe_messages(uint64_t number, uint64_t in_flight, const making *how) {
    size_t total = 0;
    pool.count = number;
    pool.messages = memory(number + in_flight + 1, sizeof *pool.messages);
    for (uint64_t i = 0; i < number + in_flight; i++) {
        if (i < number) {
            how->describe(&pool.messages[i]);
        } else {
            pool.messages[i] = pool.messages[i - number];
        }
        total += pool.messages[i].size + 2 * (LONGEST_HEADER + KEY_SIZE);
    }
    return total;
}

static void fill_pool(uint64_t number, uint64_t in_flight, const making *how) {
    size_t total = describe_messages(number, in_flight, how);
    uint8_t *payload = memory(total, 1);
    uint8_t *frame = memory(total, 1);
    for (uint64_t i = 0; i < number + in_flight; i++) {
        message *m = &pool.messages[i];
        m->payload = i < number ? payload : pool.messages[i - number].payload;
        if (i < number) {
            how->put_payload(payload, m);
            payload += m->size;
        }
        m->frame = frame;
        frame += how->put_message(frame, m);
    }
    pool.messages[number + in_flight].frame = frame;
}

static size_t put_whole(uint8_t *to, const message *m) { return put_frame(to, m->opcode, m->payload, m->size); }

static uint64_t place(const connection *c, uint64_t number) { return (c->start + number) % pool.count; }

static const message *echoed(const connection *c) { return &pool.messages[place(c, c->received)]; }

static const message *digits(const connection *c) {
    (void)c;
    return &digits_message;
}

/* Receiving: frames may be cut anywhere by the end of a read. */

static size_t header_size(const connection *c) {
    unsigned length = c->header[1] & 127u;
    return length < 126 ? 2 : length == 126 ? 4 : 10;
}

static uint64_t payload_size(const connection *c) {
    uint64_t size = c->header[1] & 127u;
    if (size >= 126) {
        size = 0;
        for (size_t i = 2; i < c->held; i++) {
            size = size << 8 | c->header[i];
        }
    }
    return size;
}

static unsigned opcode_of(const connection *c) { return c->header[0] & 15u; }

static bool is_control(const connection *c) { return opcode_of(c) >= CLOSE; }

/* A message has to come whole, and as what it should be. */
static bool fits(connection *c) {
    unsigned opcode = opcode_of(c);
    if (is_control(c)) {
        return (opcode == PING || opcode == PONG || (opcode == CLOSE && c->may_close)) && c->left <= LONGEST_CONTROL;
    }
    c->expected = mode.expected == NULL ? NULL : mode.expected(c);
    return c->expected != NULL && opcode == c->expected->opcode && c->left == c->expected->size;
}

static void begin_frame(connection *c) {
    c->in_frame = true;
    c->left = payload_size(c);
    if (!fits(c) || c->header[0] != (FIN | opcode_of(c)) || c->header[1] & MASKED) {
        fail("message %llu of connection %d: the server's frame begins with %02x %02x, %llu bytes",
             (unsigned long long)c->received, c->fd, c->header[0], c->header[1], (unsigned long long)c->left);
    }
}

static size_t take_header(connection *c, const uint8_t *data, size_t size) {
    size_t taken = 0;
    while (taken < size && (c->held < 2 || c->held < header_size(c))) {
        c->header[c->held++] = data[taken++];
    }
    if (c->held >= 2 && c->held == header_size(c)) {
        begin_frame(c);
    }
    return taken;
}

static size_t take_payload(connection *c, const uint8_t *data, size_t size) {
    size_t taken = size < c->left ? size : (size_t)c->left;
    if (is_control(c)) {
        memcpy(c->control + payload_size(c) - c->left, data, taken);
    } else if (c->received % mode.checked == 0 &&
               memcmp(c->expected->payload + c->expected->size - c->left, data, taken) != 0) {
        fail("message %llu of connection %d is not what it should be", (unsigned long long)c->received, c->fd);
    }
    c->left -= taken;
    return taken;
}

static void end_frame(connection *c) {
    if (opcode_of(c) == PING) {
        c->pong_size = put_frame(c->pong, PONG, c->control, (size_t)payload_size(c));
        count.pings++;
    } else if (opcode_of(c) == CLOSE) {
        c->closed = true;
    } else if (!is_control(c)) {
        if (c->received == c->timed) {
            add_time(now - c->timed_at);
            c->timed = NONE;
        }
        c->received++;
        count.messages++;
        waiting_for--;
    }
    c->in_frame = false;
    c->held = 0;
}

static void take(connection *c, const uint8_t *data, size_t size) {
    while (size > 0) {
        size_t taken = c->in_frame ? take_payload(c, data, size) : take_header(c, data, size);
        data += taken;
        size -= taken;
        if (c->in_frame && c->left == 0) {
            end_frame(c);
        }
    }
}

static void receive(connection *c) {
    ssize_t size = recv(c->fd, input, READ_SIZE, 0);
    if (size == 0) {
        fail("the server closed connection %d after %llu messages", c->fd, (unsigned long long)c->received);
    }
    if (size < 0) {
        must(errno == EAGAIN || errno == EINTR, "recv");
        return;
    }
    now = clock_ns();
    count.reads++;
    take(c, input, (size_t)size);
}

/* Sending. */

static void watch(connection *c, int how, bool for_room) {
    struct epoll_event event = {.events = EPOLLIN | (for_room ? EPOLLOUT : 0u), .data.ptr = c};
    must(epoll_ctl(ready, how, c->fd, &event) == 0, "epoll_ctl");
    c->wants_room = for_room;
}

static size_t send_some(const connection *c, const uint8_t *data, size_t size) {
    ssize_t sent = send(c->fd, data, size, MSG_NOSIGNAL);
    must(sent >= 0 || errno == EAGAIN || errno == EINTR, "send");
    return sent < 0 ? 0 : (size_t)sent;
}

/* A pong is small, and few are sent: there is always room for all of it, or for nothing. */
static void send_pong(connection *c) {
    if (c->pong_size > 0 && c->offset == 0 && send_some(c, c->pong, c->pong_size) > 0) {
        c->pong_size = 0;
    }
}

/* Takes the time of any of the messages that are sent now: of the first one alone it would be too long. */
static void begin_timing(connection *c, uint64_t due) {
    if (c->timed == NONE) {
        c->timed = c->sent + (due == 1 ? 0 : random_bits() % due);
        c->timed_at = now;
    }
}

/* How many messages may be sent now. */
static uint64_t due_of(const connection *c) {
    if (c->allowed > 0) {
        return c->allowed - c->sent;
    }
    return mode.in_flight == 0 ? 0 : mode.in_flight - (c->sent - c->received);
}

/* Counts the messages, from `first` on, that are out after `sent` bytes more. */
static void add_sent(connection *c, const message *first, size_t sent) {
    c->offset += sent;
    for (const message *m = first; c->offset > 0 && c->offset >= (size_t)(m[1].frame - m->frame); m++) {
        c->offset -= (size_t)(m[1].frame - m->frame);
        c->sent++;
    }
}

static void send_due(connection *c) {
    uint64_t due = due_of(c);
    size_t size = 0;
    send_pong(c);
    if (due > 0) {
        const message *first = &pool.messages[place(c, c->sent)];
        const uint8_t *begin = first->frame + c->offset;
        size = (size_t)(first[due].frame - begin);
        begin_timing(c, due);
        size_t sent = send_some(c, begin, size);
        add_sent(c, first, sent);
        size -= sent;
    }
    bool wants_room = size > 0 || c->pong_size > 0;
    if (wants_room != c->wants_room) {
        watch(c, EPOLL_CTL_MOD, wants_room);
    }
}

/* Opening. */

static const char REQUEST[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
static const char ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; /* RFC 6455 section 1.3 */

static int connect_to(unsigned port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    must(fd >= 0, "socket");
    must(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
    return fd;
}

static void shake_hands(int fd) {
    char answer[4096] = "";
    size_t size = 0;
    must(send(fd, REQUEST, sizeof REQUEST - 1, MSG_NOSIGNAL) == sizeof REQUEST - 1, "send");
    while (strstr(answer, "\r\n\r\n") == NULL) {
        ssize_t more = recv(fd, answer + size, sizeof answer - 1 - size, 0);
        must(more >= 0, "recv");
        if (more == 0) {
            fail("no whole answer to the handshake: %s", answer);
        }
        size += (size_t)more;
        answer[size] = '\0';
    }
    if (strncmp(answer, "HTTP/1.1 101 ", 13) != 0 || strstr(answer, ACCEPT) == NULL ||
        strstr(answer, "\r\n\r\n")[4] != '\0') {
        fail("a wrong answer to the handshake: %s", answer);
    }
}

static void open_connection(connection *c, unsigned port, uint64_t number) {
    c->fd = connect_to(port);
    shake_hands(c->fd);
    must(fcntl(c->fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    c->start = number * 17; /* neighbours send different messages */
    c->timed = NONE;
    watch(c, EPOLL_CTL_ADD, false);
}

static void prepare(uint64_t number) {
    ready = epoll_create1(0);
    must(ready >= 0, "epoll_create1");
    connections = memory(number, sizeof *connections);
}

static void open_all(unsigned port, uint64_t number) {
    prepare(number);
    for (uint64_t i = 0; i < number; i++) {
        open_connection(&connections[i], port, i);
    }
}

/* Running. */

/* Waits for events, spinning if that was asked for. */
static int wait_for(struct epoll_event *events) {
    int number = epoll_wait(ready, events, READY, mode.spin ? 0 : mode.wait);
    if (number == 0 && mode.spin) {
        uint64_t began = clock_ns();
        uint64_t waited = 0;
        while (number == 0 && waited < PATIENCE * 1000000ull) {
            number = epoll_wait(ready, events, READY, 0);
            waited = clock_ns() - began;
        }
        count.idle += waited;
    }
    must(number >= 0 || errno == EINTR, "epoll_wait");
    return number;
}

/* Does what can be done now, or waits until something can. Returns false where stdin, that hold() watches, has ended.
 */
static bool serve(void) {
    struct epoll_event events[READY];
    int number = wait_for(events);
    if (number == 0 && mode.wait == PATIENCE) {
        fail("nothing came from the server for %d seconds", PATIENCE / 1000);
    }
    for (int i = 0; i < number; i++) {
        connection *c = events[i].data.ptr;
        if (c == NULL) {
            return false;
        }
        if (events[i].events & ~(uint32_t)EPOLLOUT) {
            receive(c);
        }
        send_due(c);
    }
    return true;
}

static void serve_until(uint64_t end) {
    while (clock_ns() < end) {
        serve();
    }
}

static uint64_t after(double seconds) { return clock_ns() + (uint64_t)(seconds * 1e9); }

/* A moment, and what both processes had worked by then. */
typedef struct {
    uint64_t time;
    effort load;
    effort server;
} moment;

static moment moment_of(const char *server) { return (moment){clock_ns(), effort_of("self"), effort_of(server)}; }

/* What the load did from `a` to `b`. It is busy while it works or waits for its core, but not while it spins. */
static void report(const moment *a, const moment *b, uint64_t per_time) {
    double took = (double)(b->time - a->time) / 1e9;
    double worked = b->load.worked - a->load.worked;
    double waited = b->load.waited - a->load.waited;
    double busy = mode.spin ? took - (double)count.idle / 1e9 : worked + waited;
    double messages = (double)count.messages;
    printf("{\"messages\": %.0f, \"seconds\": %.6f, \"messages_per_second\": %.1f, ", messages, took, messages / took);
    printf("\"bytes\": %.0f, \"times_per_second\": %.2f, ", messages * (double)mode.size,
           messages / took / (double)per_time);
    printf("\"messages_per_read\": %.3f, \"samples\": %llu, ", messages / (double)count.reads,
           (unsigned long long)count.samples);
    printf("\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f, ", quantile(0.5), quantile(0.99), (double)count.longest / 1e3);
    printf("\"load_busy\": %.4f, \"load_cpu\": %.4f, \"load_waited\": %.4f, ", busy, worked, waited);
    printf("\"server_cpu\": %.4f, \"server_waited\": %.4f}\n", b->server.worked - a->server.worked,
           b->server.waited - a->server.waited);
}

/* Has `work` done until a time comes, first to warm up and then with the clock running. */
static void measure(void (*work)(uint64_t end), double seconds, const char *server, uint64_t per_time) {
    work(after(WARM_UP));
    memset(&count, 0, sizeof count);
    moment began = moment_of(server);
    work(after(seconds));
    moment ended = moment_of(server);
    report(&began, &ended, per_time);
}

/* The modes. */

static void describe_text(message *m) { *m = (message){.opcode = TEXT, .size = mode.size}; }

static void put_text(uint8_t *to, const message *m) { put_ascii(to, m->size); }

static void fill_pool_with_texts(void) {
    static const making texts = {describe_text, put_text, put_whole};
    uint8_t header[LONGEST_HEADER];
    uint64_t fitting = POOL_SIZE / (put_header(header, TEXT, mode.size) + KEY_SIZE + mode.size);
    fitting = fitting > POOL_COUNT ? POOL_COUNT : fitting;
    fill_pool(fitting < mode.in_flight ? mode.in_flight : fitting, mode.in_flight, &texts);
}

static void echo(unsigned port, uint64_t number, char **more) {
    mode.spin = strcmp(more[2], "1") == 0;
    mode.size = strtoul(more[3], NULL, 10);
    mode.in_flight = strtoul(more[4], NULL, 10);
    mode.expected = echoed;
    mode.checked = CHECKED;
    fill_pool_with_texts();
    open_all(port, number);
    now = clock_ns();
    for (uint64_t i = 0; i < number; i++) {
        send_due(&connections[i]);
    }
    measure(serve_until, strtod(more[1], NULL), more[0], 1);
}

static uint64_t audience;

static void fan_out_until(uint64_t end) {
    uint8_t frame[2 + KEY_SIZE + 2];
    size_t size = put_frame(frame, TEXT, (const uint8_t *)"go", 2);
    while (clock_ns() < end) {
        uint64_t began = clock_ns();
        waiting_for = audience;
        must(send_some(&connections[audience], frame, size) == size, "send");
        while (waiting_for > 0) {
            serve();
        }
        add_time(now - began);
    }
}

static void fanout(unsigned port, uint64_t number, char **more) {
    for (size_t i = 0; i < FANOUT_SIZE; i++) {
        digits_text[i] = (uint8_t)('0' + i % 10);
    }
    mode.spin = strcmp(more[2], "1") == 0;
    mode.size = FANOUT_SIZE;
    mode.expected = digits;
    mode.checked = 1;
    audience = number;
    open_all(port, number + 1);
    measure(fan_out_until, strtod(more[1], NULL), more[0], audience);
    for (uint64_t i = 1; i <= number; i++) {
        uint64_t should = i < number ? connections[0].received : 0;
        if (connections[i].received != should) {
            fail("connection %llu got %llu messages instead of %llu", (unsigned long long)i,
                 (unsigned long long)connections[i].received, (unsigned long long)should);
        }
    }
}

/* Keeps the connections open until stdin is closed. */
static void hold(void) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    must(epoll_ctl(ready, EPOLL_CTL_ADD, STDIN_FILENO, &event) == 0, "stdin has to be a pipe");
    mode.wait = -1;
    while (serve()) {
    }
}

static void idle(unsigned port, uint64_t number) {
    open_all(port, number);
    printf("{\"connections\": %llu}\n", (unsigned long long)number);
    fflush(stdout);
    hold();
}

/* The soak. */

static struct {
    unsigned ports[2];
    uint64_t number;
    uint64_t active;
    double rate;  /* messages a second */
    double churn; /* connections a second */
    uint64_t began;
    uint64_t paced;    /* when it was last looked how many messages are to be sent */
    double owed;       /* so many */
    uint64_t turn;     /* the active connection that is next */
    uint64_t reopened; /* connections that were closed and opened again */
} soaking;

static void describe_any(message *m) {
    uint64_t bits = random_bits() >> 16;
    size_t most = bits % BIG_ONE == 0 ? BIG : bits % MIDDLE_ONE == 1 ? MIDDLE : SMALL;
    *m = (message){.opcode = random_bits() % 3 == 0 ? BINARY : TEXT, .size = random_bits() % (most + 1)};
}

static void put_any(uint8_t *to, const message *m) {
    size_t width = 1 + random_bits() % 4;
    if (m->opcode == BINARY) {
        put_bytes(to, m->size);
    } else if (width == 1) {
        put_ascii(to, m->size);
    } else {
        put_characters(to, m->size, width);
    }
}

static size_t put_in_fragments(uint8_t *to, const message *m) {
    size_t half = m->size / 2;
    if (random_bits() % FRAGMENTED_ONE != 0) {
        return put_whole(to, m);
    }
    size_t first = put_fragment(to, m->opcode, m->payload, half);
    return first + put_fragment(to + first, FIN | CONTINUATION, m->payload + half, m->size - half);
}

/* Lets a connection send a burst; returns how many messages, none while it waits for the echoes of the last ones. */
static uint64_t allow(connection *c) {
    if (c->received < c->allowed) {
        if (now - c->allowed_at > PATIENCE * 1000000ull) {
            fail("connection %d waits for %llu messages", c->fd, (unsigned long long)(c->allowed - c->received));
        }
        return 0;
    }
    uint64_t burst = 1 + random_bits() % BURST;
    c->allowed += burst;
    c->allowed_at = now;
    send_due(c);
    return burst;
}

/* Sends what is due by now. A server that is behind is not asked for more: it would only show how long queues get. */
static void send_paced(void) {
    soaking.owed += soaking.rate * (double)(now - soaking.paced) / 1e9;
    soaking.paced = now;
    for (uint64_t tries = 0; tries < soaking.active && soaking.owed > 0; tries++) {
        soaking.owed -= (double)allow(&connections[soaking.turn]);
        soaking.turn = (soaking.turn + 1) % soaking.active;
    }
    soaking.owed = soaking.owed > 0 ? 0 : soaking.owed;
}

static void open_soaked(uint64_t i) {
    connections[i] = (connection){0};
    open_connection(&connections[i], soaking.ports[i % 2], i);
}

/* Answers pings meanwhile: it may take longer than the server has patience. */
static void open_all_soaked(void) {
    mode.wait = 0;
    prepare(soaking.number);
    for (uint64_t i = 0; i < soaking.number; i++) {
        open_soaked(i);
        serve();
    }
}

/* Closes a connection as RFC 6455 has it: the server answers with the same code, and ends TCP first. */
static void close_politely(connection *c) {
    static const uint8_t code[] = {1000 >> 8, 1000 & 0xFF};
    struct timeval patience = {.tv_sec = PATIENCE / 1000};
    uint8_t frame[2 + KEY_SIZE + sizeof code];
    size_t size = put_frame(frame, CLOSE, code, sizeof code);
    c->may_close = true;
    must(fcntl(c->fd, F_SETFL, 0) == 0, "fcntl");
    must(setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0, "SO_RCVTIMEO");
    must(send_some(c, frame, size) == size, "send");
    ssize_t more = 0;
    while ((more = recv(c->fd, input, READ_SIZE, 0)) > 0) {
        take(c, input, (size_t)more);
    }
    must(more == 0, "closing");
    if (!c->closed || memcmp(c->control, code, sizeof code) != 0) {
        fail("the server has not answered the Close frame of connection %d", c->fd);
    }
}

/* Has the server find its connection reset. */
static void cut(connection *c) {
    struct linger none = {.l_onoff = 1};
    must(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none) == 0, "SO_LINGER");
}

/* Closes any one connection and opens it again, unless it is waiting for something. */
static void reopen_one(void) {
    uint64_t i = random_bits() % soaking.number;
    connection *c = &connections[i];
    if (c->received < c->allowed || c->pong_size > 0) {
        return;
    }
    if (soaking.reopened % CUT_ONE == 0) {
        cut(c);
    } else {
        close_politely(c);
    }
    close(c->fd);
    open_soaked(i);
    soaking.reopened++;
}

static void soak_until(uint64_t end) {
    while ((now = clock_ns()) < end) {
        send_paced();
        if ((double)soaking.reopened < soaking.churn * (double)(now - soaking.began) / 1e9) {
            reopen_one();
        }
        serve();
    }
}

static uint64_t unanswered(void) {
    uint64_t messages = 0;
    for (uint64_t i = 0; i < soaking.number; i++) {
        messages += connections[i].allowed - connections[i].received;
    }
    return messages;
}

/* Waits for the echoes that are still to come. */
static void settle(void) {
    uint64_t end = after(PATIENCE / 1e3);
    while (unanswered() > 0) {
        if (clock_ns() > end) {
            fail("%llu messages have not come back", (unsigned long long)unanswered());
        }
        serve();
    }
}

static void tell(bool done) {
    printf("{\"seconds\": %.3f, \"messages\": %llu, \"pings\": %llu, \"reopened\": %llu, ",
           (double)(clock_ns() - soaking.began) / 1e9, (unsigned long long)count.messages,
           (unsigned long long)count.pings, (unsigned long long)soaking.reopened);
    printf("\"p99\": %.1f, \"done\": %s}\n", count.samples == 0 ? 0 : quantile(0.99), done ? "true" : "false");
    fflush(stdout);
}

static void soak(unsigned port, uint64_t number, char **more) {
    static const making any = {describe_any, put_any, put_in_fragments};
    soaking.ports[0] = port;
    soaking.ports[1] = (unsigned)strtoul(more[0], NULL, 10);
    soaking.number = number;
    soaking.active = strtoul(more[3], NULL, 10);
    soaking.rate = strtod(more[4], NULL);
    soaking.churn = strtod(more[5], NULL);
    double seconds = strtod(more[1], NULL);
    double step = strtod(more[2], NULL);
    if (number == 0 || soaking.active == 0 || soaking.active > number) {
        fail("%llu of %llu connections can't be active", (unsigned long long)soaking.active,
             (unsigned long long)number);
    }
    if (!(step > 0)) {
        fail("STEP has to be above 0");
    }
    mode.expected = echoed;
    mode.checked = 1;
    fill_pool(POOL_COUNT, BURST, &any);
    open_all_soaked();
    mode.wait = TICK;
    soaking.began = soaking.paced = clock_ns();
    for (double at = 0; at < seconds; at += step) {
        tell(false);
        soak_until(soaking.began + (uint64_t)((at + step < seconds ? at + step : seconds) * 1e9));
    }
    settle();
    tell(true);
    hold();
}

int main(int arguments, char **argument) {
    const char *name = arguments > 1 ? argument[1] : "";
    unsigned port = arguments > 2 ? (unsigned)strtoul(argument[2], NULL, 10) : 0;
    uint64_t number = arguments > 3 ? strtoul(argument[3], NULL, 10) : 0;
    if (strcmp(name, "echo") == 0 && arguments == 9) {
        echo(port, number, argument + 4);
    } else if (strcmp(name, "fanout") == 0 && arguments == 7) {
        fanout(port, number, argument + 4);
    } else if (strcmp(name, "idle") == 0 && arguments == 4) {
        idle(port, number);
    } else if (strcmp(name, "soak") == 0 && arguments == 10) {
        soak(port, number, argument + 4);
    } else {
        fail("echo PORT CONNECTIONS SERVER_PID SECONDS SPIN SIZE IN_FLIGHT, fanout PORT CONNECTIONS SERVER_PID SECONDS "
             "SPIN, idle PORT CONNECTIONS, or soak PORT CONNECTIONS OTHER_PORT SECONDS STEP ACTIVE RATE CHURN");
    }
    return 0;
}
