/* The load of the network benchmark; Linux only. One core, no allocation and no masking while the clock runs.
 *
 *     load echo PORT CONNECTIONS SERVER_PID SECONDS SPIN SIZE IN_FLIGHT
 *     load fanout PORT CONNECTIONS SERVER_PID SECONDS SPIN
 *     load idle PORT CONNECTIONS
 *
 * echo: each connection keeps IN_FLIGHT text messages of SIZE bytes on their way; for all the echoes that one read
 * completes it sends as many messages more, in one write. fanout: one more connection says "go", and the time is taken
 * until all others have got the server's message. idle: says when the connections are open, and holds them until
 * stdin is closed. The first two print one line of JSON. Where SPIN is 1, the load never sleeps, so that the server
 * never has to wake it. Whatever the server does wrong ends the program with 1.
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

enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10, FIN = 0x80, MASKED = 0x80 };
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
};
static const double WARM_UP = 0.5; /* seconds */
static const uint64_t NONE = UINT64_MAX;

typedef struct {
    int fd;
    bool wants_room; /* epoll says when there is room to write */

    uint64_t start; /* the place of its first message in the pool */
    uint64_t sent;  /* messages sent in full */
    size_t offset;  /* bytes sent of the next one */
    size_t pong_size;
    uint8_t pong[2 + KEY_SIZE + LONGEST_CONTROL];

    uint64_t received; /* whole messages */
    bool in_frame;     /* its header is complete */
    size_t held;       /* bytes of its header */
    uint64_t left;     /* bytes of its payload that are still to come */
    uint8_t header[LONGEST_HEADER];
    uint8_t control[LONGEST_CONTROL];

    uint64_t timed; /* the message whose time is taken, or NONE */
    uint64_t timed_at;
} connection;

/* The messages, made before the clock starts: as frames to send, and as texts to compare the echoes with. */
static struct {
    size_t size;
    size_t frame_size;
    uint64_t count;
    uint8_t *frames; /* `count`, and the first ones again, so that any IN_FLIGHT of them lie in one piece */
    uint8_t *texts;
} pool;

static struct {
    uint64_t messages;
    uint64_t reads;
    uint64_t samples;
    uint64_t longest;
    uint64_t idle; /* nanoseconds spent spinning */
    uint64_t times[BUCKETS];
} count;

/* What the modes do differently. */
static struct {
    bool spin;
    uint64_t in_flight;
    size_t size;                                    /* of a message that the server may send */
    uint64_t checked;                               /* one of so many is compared */
    const uint8_t *(*expected)(const connection *); /* its text; NULL where none may come */
} mode;

static int ready;
static connection *connections;
static uint64_t now;         /* nanoseconds, when the latest bytes were read */
static uint64_t waiting_for; /* messages of a fan-out that are still to come */
static uint8_t input[READ_SIZE];
static uint8_t digits_text[FANOUT_SIZE];

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
static size_t put_header(uint8_t *to, unsigned opcode, uint64_t size) {
    size_t length_size = size < 126 ? 0 : size <= UINT16_MAX ? 2 : 8;
    to[0] = (uint8_t)(FIN | opcode);
    to[1] = (uint8_t)(MASKED | (length_size == 0 ? size : length_size == 2 ? 126 : 127));
    for (size_t i = 0; i < length_size; i++) {
        to[2 + i] = (uint8_t)(size >> 8 * (length_size - 1 - i));
    }
    return 2 + length_size;
}

static size_t put_frame(uint8_t *to, unsigned opcode, const uint8_t *payload, size_t size) {
    size_t begin = put_header(to, opcode, size);
    uint64_t bits = random_bits();
    uint8_t *key = to + begin;
    memcpy(key, &bits, KEY_SIZE);
    for (size_t i = 0; i < size; i++) {
        key[KEY_SIZE + i] = payload[i] ^ key[i % KEY_SIZE];
    }
    return begin + KEY_SIZE + size;
}

static void put_text(uint8_t *to, size_t size) {
    for (size_t i = 0; i < size; i++) {
        to[i] = (uint8_t)(' ' + random_bits() % 95);
    }
}

static void fill_pool(size_t size, uint64_t in_flight) {
    uint8_t header[LONGEST_HEADER];
    pool.size = size;
    pool.frame_size = put_header(header, TEXT, size) + KEY_SIZE + size;
    pool.count = POOL_SIZE / pool.frame_size;
    pool.count = pool.count > POOL_COUNT ? POOL_COUNT : pool.count < in_flight ? in_flight : pool.count;
    pool.texts = memory(pool.count, size);
    pool.frames = memory(pool.count + in_flight, pool.frame_size);
    for (uint64_t i = 0; i < pool.count; i++) {
        put_text(pool.texts + i * size, size);
        put_frame(pool.frames + i * pool.frame_size, TEXT, pool.texts + i * size, size);
    }
    memcpy(pool.frames + pool.count * pool.frame_size, pool.frames, in_flight * pool.frame_size);
}

static uint64_t place(const connection *c, uint64_t number) { return (c->start + number) % pool.count; }

static const uint8_t *echoed_text(const connection *c) { return pool.texts + place(c, c->received) * pool.size; }

static const uint8_t *digits(const connection *c) {
    (void)c;
    return digits_text;
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

/* A message has to come whole and in the size that it should have. */
static void begin_frame(connection *c) {
    unsigned opcode = opcode_of(c);
    c->in_frame = true;
    c->left = payload_size(c);
    bool fits = opcode == TEXT ? mode.expected != NULL && c->left == mode.size
                               : (opcode == PING || opcode == PONG) && c->left <= LONGEST_CONTROL;
    if (!fits || c->header[0] != (FIN | opcode) || c->header[1] & MASKED) {
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
    if (opcode_of(c) != TEXT) {
        memcpy(c->control + payload_size(c) - c->left, data, taken);
    } else if (c->received % mode.checked == 0 && memcmp(mode.expected(c) + mode.size - c->left, data, taken) != 0) {
        fail("message %llu of connection %d is not what it should be", (unsigned long long)c->received, c->fd);
    }
    c->left -= taken;
    return taken;
}

static void end_frame(connection *c) {
    if (opcode_of(c) == PING) {
        c->pong_size = put_frame(c->pong, PONG, c->control, (size_t)payload_size(c));
    } else if (opcode_of(c) == TEXT) {
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

static void send_due(connection *c) {
    uint64_t due = mode.in_flight == 0 ? 0 : mode.in_flight - (c->sent - c->received);
    size_t size = due * pool.frame_size - c->offset;
    send_pong(c);
    if (due > 0) {
        begin_timing(c, due);
        size_t sent = send_some(c, pool.frames + place(c, c->sent) * pool.frame_size + c->offset, size);
        c->offset += sent;
        c->sent += c->offset / pool.frame_size;
        c->offset %= pool.frame_size;
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

static void open_all(unsigned port, uint64_t number) {
    ready = epoll_create1(0);
    must(ready >= 0, "epoll_create1");
    connections = memory(number, sizeof *connections);
    for (uint64_t i = 0; i < number; i++) {
        open_connection(&connections[i], port, i);
    }
}

/* Running. */

/* Waits for events, spinning if that was asked for; idle() waits as long as it takes. */
static int wait_for(struct epoll_event *events) {
    int number = epoll_wait(ready, events, READY, mode.spin ? 0 : mode.expected == NULL ? -1 : PATIENCE);
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

/* Does what can be done now, or waits until something can. Returns false where stdin, that idle() watches, has ended.
 */
static bool serve(void) {
    struct epoll_event events[READY];
    int number = wait_for(events);
    if (number == 0) {
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

static void echo(unsigned port, uint64_t number, char **more) {
    mode.size = strtoul(more[3], NULL, 10);
    mode.in_flight = strtoul(more[4], NULL, 10);
    mode.expected = echoed_text;
    mode.checked = CHECKED;
    fill_pool(mode.size, mode.in_flight);
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

static void idle(unsigned port, uint64_t number) {
    open_all(port, number);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    must(epoll_ctl(ready, EPOLL_CTL_ADD, STDIN_FILENO, &event) == 0, "stdin has to be a pipe");
    printf("{\"connections\": %llu}\n", (unsigned long long)number);
    fflush(stdout);
    while (serve()) {
    }
}

int main(int arguments, char **argument) {
    mode.spin = arguments > 6 && strcmp(argument[6], "1") == 0;
    const char *name = arguments > 1 ? argument[1] : "";
    unsigned port = arguments > 2 ? (unsigned)strtoul(argument[2], NULL, 10) : 0;
    uint64_t number = arguments > 3 ? strtoul(argument[3], NULL, 10) : 0;
    if (strcmp(name, "echo") == 0 && arguments == 9) {
        echo(port, number, argument + 4);
    } else if (strcmp(name, "fanout") == 0 && arguments == 7) {
        fanout(port, number, argument + 4);
    } else if (strcmp(name, "idle") == 0 && arguments == 4) {
        idle(port, number);
    } else {
        fail("echo PORT CONNECTIONS SERVER_PID SECONDS SPIN SIZE IN_FLIGHT, fanout PORT CONNECTIONS SERVER_PID SECONDS "
             "SPIN, or idle PORT CONNECTIONS");
    }
    return 0;
}
