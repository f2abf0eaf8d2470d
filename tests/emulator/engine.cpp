// Runs the blocks of a launch one after the other, and the threads of a block as fibers on one thread of the system.
//
// A fiber runs until it waits at a barrier or ends, so the outcome depends on the order of blocks, warps and lanes
// alone: forward, reverse, or random from a seed. A kernel that lacks a barrier gives different results in different
// orders, or the poison (bytes 0xFF, as floats NaN) that fills shared memory before each block.
//
// An asynchronous copy arrives at its wait in the forward order, at once in the reverse one, and either way in the
// random one: all that a GPU may do. A load or store at an address that its size doesn't divide ends its thread.
//
// Under -fsanitize=address and -fsanitize=thread the sanitizers are told of every switch between fibers. For the
// latter two fibers are ordered by barriers alone, so that a race between CUDA threads is a race to it.
#include "engine.h"

#include <sys/mman.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__x86_64__)
#define SWITCH_IN_ASSEMBLY 1
#else
#include <ucontext.h>
#endif

#define UNSEEN_BY_TSAN __attribute__((no_sanitize_thread))

namespace emulator {

constexpr size_t STACK = 128 * 1024;
constexpr size_t MOST_DYNAMIC_SHARED = 227 * 1024;

struct Fiber : Thread {
  char* stack = nullptr;
  void* stack_pointer = nullptr;
  void* fake_stack = nullptr;  // AddressSanitizer's
  void* tsan = nullptr;
#ifndef SWITCH_IN_ASSEMBLY
  ucontext_t context;
#endif
};

struct Warp {
  Slot delivered[WARP];
  unsigned round = 0;  // barriers passed: two in a row must not be one to ThreadSanitizer
  char tokens[2];
};

struct Launch {  // as build.py describes it
  void (*run)(void** arguments);
  void** arguments;
  unsigned grid[3], block[3];
  size_t dynamic_bytes;
  char *shared_begin, *shared_end;
  int order;
  unsigned seed;
};

Thread* current = nullptr;
dim3 grid, block, block_index;

static Fiber scheduler;
static std::vector<Fiber> threads;
static std::vector<Warp> warps;
static std::vector<char> dynamic;
static Launch launch_;
static std::string error;
static const void* error_address;  // what was misaligned
static unsigned block_round;
static char block_tokens[2];
static std::mt19937 random_bits;

void fail(const char* message) {
  if (error.empty()) error = message;
}

bool copies_arrive_at_once() {
  unsigned mixed = launch_.seed * 2654435761u ^ current->number * 40503u ^ current->copy_group * 9973u;
  return launch_.order == 1 || (launch_.order == 2 && (mixed >> 4) % 2);
}

char* dynamic_shared() {
  uintptr_t start = reinterpret_cast<uintptr_t>(dynamic.data());
  return reinterpret_cast<char*>((start + 127) / 128 * 128);
}

// ---- fibers

#ifdef SWITCH_IN_ASSEMBLY
extern "C" void emulator_switch_stack(void** save, void* load);
__asm__(
    ".text\n.type emulator_switch_stack,@function\nemulator_switch_stack:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");
#endif

UNSEEN_BY_TSAN static void switch_fiber(Fiber& from, Fiber& to) {
  current = &to;
#if defined(__SANITIZE_ADDRESS__)
  bool ends = from.state == State::done && &from != &scheduler;
  __sanitizer_start_switch_fiber(ends ? nullptr : &from.fake_stack, to.stack, STACK);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(to.tsan, &from == &scheduler ? 0 : __tsan_switch_to_fiber_no_sync);
#endif
#ifdef SWITCH_IN_ASSEMBLY
  emulator_switch_stack(&from.stack_pointer, to.stack_pointer);
#else
  swapcontext(&from.context, &to.context);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

UNSEEN_BY_TSAN static void back_to_scheduler() { switch_fiber(*static_cast<Fiber*>(current), scheduler); }

UNSEEN_BY_TSAN static void fiber_main() {
#if defined(__SANITIZE_ADDRESS__)
  const void* bottom;
  size_t size;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
  if (!scheduler.stack) scheduler.stack = static_cast<char*>(const_cast<void*>(bottom));
#endif
  launch_.run(launch_.arguments);
  if (!current->copies.empty()) fail("a thread ended with cp.async copies that it never waited for");
#if defined(__SANITIZE_THREAD__)
  __tsan_release(&scheduler);
#endif
  current->state = State::done;
  back_to_scheduler();
}

// What -fsanitize=alignment calls, and how it describes the place.
struct Misaligned {
  const char* file;
  unsigned line, column;
  const void* type;
  unsigned char log_alignment, kind;
};

static void end_misaligned(const Misaligned& at, const void* address) {
  if (error.empty()) {
    std::string file = at.file, size = std::to_string(1 << at.log_alignment);
    error = "an access of " + size + " bytes at an address that " + size + " does not divide, " +
            file.substr(file.rfind('/') + 1) + ":" + std::to_string(at.line);
    error_address = address;
  }
  current->copies.clear();
  current->state = State::done;
  back_to_scheduler();
}

static void start_fiber(Fiber& fiber) {
  if (!fiber.stack) {
    void* stack = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    fiber.stack = static_cast<char*>(stack);
  }
  fiber.state = State::ready;
  fiber.fake_stack = nullptr;
  fiber.copies.clear();
  fiber.copy_group = 0;
#if defined(__SANITIZE_THREAD__)
  fiber.tsan = __tsan_create_fiber(0);
#endif
#ifdef SWITCH_IN_ASSEMBLY
  void** top = reinterpret_cast<void**>(fiber.stack + STACK - 64);
  top[0] = reinterpret_cast<void*>(fiber_main);  // where the first switch returns to
  top[1] = nullptr;
  fiber.stack_pointer = top - 6;  // six saved registers
#else
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack;
  fiber.context.uc_stack.ss_size = STACK;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, fiber_main, 0);
#endif
}

// ---- barriers

UNSEEN_BY_TSAN static void wait(State state, unsigned mask, int line, char* token) {
  current->state = state;
  current->mask = mask;
  current->line = line;
#if defined(__SANITIZE_THREAD__)
  __tsan_release(token);
#endif
  back_to_scheduler();
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(token);
#else
  (void)token;
#endif
}

UNSEEN_BY_TSAN void block_barrier(int line) {
  wait(State::at_block_barrier, 0, line, &block_tokens[block_round & 1]);
}

UNSEEN_BY_TSAN void warp_barrier(unsigned mask, int line) {
  if (!(mask >> lane() & 1)) fail("a lane calls a warp operation whose mask does not name it");
  Warp& warp = warps[current->number / WARP];
  wait(State::at_warp_barrier, mask, line, &warp.tokens[warp.round & 1]);
}

const Slot* exchange(unsigned mask, const void* value, size_t bytes, int line) {
  std::memcpy(current->deposit.bytes, value, bytes);
  warp_barrier(mask, line);
  return warps[current->number / WARP].delivered;
}

// Whether all lanes that this one waits for stand at the same warp barrier.
UNSEEN_BY_TSAN static bool complete(int first, const Fiber& waiting) {
  for (int l = 0; l < WARP; l++) {
    if (!(waiting.mask >> l & 1)) continue;
    if (first + l >= static_cast<int>(threads.size())) return false;
    const Fiber& other = threads[first + l];
    bool here = other.state == State::at_warp_barrier && other.mask == waiting.mask && other.line == waiting.line;
    if (!here) return false;
  }
  return true;
}

// Lets the lanes of complete warp barriers go on; whether there were any.
UNSEEN_BY_TSAN static bool release_lanes(int first, int last) {
  bool any = false;
  Warp& warp = warps[first / WARP];
  for (int i = first; i < last; i++) {
    if (threads[i].state != State::at_warp_barrier || !complete(first, threads[i])) continue;
    unsigned mask = threads[i].mask;
    any = true;
    for (int l = 0; l < WARP; l++) {
      if (!(mask >> l & 1)) continue;
      threads[first + l].state = State::ready;
      warp.delivered[l] = threads[first + l].deposit;
    }
  }
  if (any) warp.round++;
  return any;
}

// ---- the scheduler

static void put_in_order(std::vector<int>& numbers) {
  std::iota(numbers.begin(), numbers.end(), 0);
  if (launch_.order == 1) std::reverse(numbers.begin(), numbers.end());
  if (launch_.order == 2) std::shuffle(numbers.begin(), numbers.end(), random_bits);
}

// Runs the threads of a warp until all have ended or wait at a barrier of the block.
static void run_warp(int first, std::vector<int>& lanes) {
  int last = std::min<int>(threads.size(), first + WARP);
  do {
    put_in_order(lanes);
    for (int l : lanes)
      if (first + l < last && threads[first + l].state == State::ready) switch_fiber(scheduler, threads[first + l]);
  } while (release_lanes(first, last));
}

// Whether the block has ended. All its threads must have, or wait at the same barrier, which then opens.
UNSEEN_BY_TSAN static bool ended_or_released() {
  size_t done = 0, waiting = 0;
  int line = 0;
  for (const Fiber& thread : threads) {
    done += thread.state == State::done;
    if (thread.state != State::at_block_barrier) continue;
    waiting++;
    if (line && line != thread.line) fail("divergent __syncthreads: threads of a block wait at different barriers");
    line = thread.line;
  }
  if (done == threads.size()) return true;
  if (done + waiting < threads.size()) fail("deadlock: a warp operation waits for lanes that are elsewhere");
  else if (done) fail("__syncthreads after some threads of the block returned");
  for (Fiber& thread : threads) thread.state = State::ready;
  block_round++;
  return !error.empty();
}

static void run_block() {
  std::fill(launch_.shared_begin, launch_.shared_end, static_cast<char>(0xFF));
  std::fill(dynamic.begin(), dynamic.end(), static_cast<char>(0xFF));
  for (Fiber& thread : threads) start_fiber(thread);
  std::vector<int> order(warps.size()), lanes(WARP);
  do {
    put_in_order(order);
    for (int w : order) run_warp(w * WARP, lanes);
  } while (!ended_or_released());
#if defined(__SANITIZE_THREAD__)
  for (Fiber& thread : threads) __tsan_destroy_fiber(thread.tsan);
  __tsan_acquire(&scheduler);
#endif
}

static void make_threads(size_t count) {
  for (size_t i = count; i < threads.size(); i++) munmap(threads[i].stack, STACK);
  threads.resize(count);
  warps.resize((count + WARP - 1) / WARP);
  for (size_t i = 0; i < count; i++) {
    threads[i].number = static_cast<int>(i);
    threads[i].index = {unsigned(i % block.x), unsigned(i / block.x % block.y), unsigned(i / block.x / block.y)};
  }
}

static const char* out_of_range(size_t thread_count) {
  if (thread_count == 0 || thread_count > 1024 || block.z > 64) return "a block has 1 to 1024 threads, 64 along z";
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return "the grid is empty";
  if (grid.x > 0x7FFFFFFF || grid.y > 65535 || grid.z > 65535) return "the grid is too large along y or z (65535)";
  if (launch_.dynamic_bytes > MOST_DYNAMIC_SHARED) return "more dynamic shared memory than 227 KiB";
  return nullptr;
}

}  // namespace emulator

extern "C" void __ubsan_handle_type_mismatch_v1(emulator::Misaligned* at, void* address) {
  emulator::end_misaligned(*at, address);
}
extern "C" void __ubsan_handle_type_mismatch_v1_abort(emulator::Misaligned* at, void* address) {
  emulator::end_misaligned(*at, address);
}
extern "C" const void* emulator_address() { return emulator::error_address; }

extern "C" const char* emulator_launch(const emulator::Launch* wanted) {
  using namespace emulator;
  launch_ = *wanted;
  grid = {wanted->grid[0], wanted->grid[1], wanted->grid[2]};
  block = {wanted->block[0], wanted->block[1], wanted->block[2]};
  error.clear();
  error_address = nullptr;
  size_t count = size_t(block.x) * block.y * block.z;
  if (const char* problem = out_of_range(count)) return problem;
  make_threads(count);
  dynamic.assign(launch_.dynamic_bytes + 128, 0);
  random_bits.seed(launch_.seed);
#if defined(__SANITIZE_THREAD__)
  scheduler.tsan = __tsan_get_current_fiber();
#endif
  std::vector<int> order(size_t(grid.x) * grid.y * grid.z);
  put_in_order(order);
  for (int b : order) {
    block_index = {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
    run_block();
    if (!error.empty()) break;
  }
  return error.empty() ? nullptr : error.c_str();
}
