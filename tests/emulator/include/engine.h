// The emulated GPU, as kernels see it: threads of a block that meet at barriers and exchange values within a warp.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

namespace emulator {

constexpr int WARP = 32;

struct Slot {  // what one lane hands to the others
  alignas(16) unsigned char bytes[64];
};

struct PendingCopy {  // a cp.async that nobody has waited for yet: the data is not there
  void* to;
  const void* from;
  int bytes, zeros, group;
};

enum class State : unsigned char { ready, at_block_barrier, at_warp_barrier, done };

struct Thread {  // one CUDA thread, run as a fiber
  dim3 index;
  int number = 0;  // within its block
  State state = State::done;
  int line = 0;       // of the barrier at which it waits
  unsigned mask = 0;  // the lanes that meet at this warp barrier
  Slot deposit;
  std::vector<PendingCopy> copies;
  int copy_group = 0;
};

extern Thread* current;
extern dim3 grid, block, block_index;

void block_barrier(int line);
void warp_barrier(unsigned mask, int line);
// Each lane of mask deposits up to 64 bytes; returns the deposits of all 32 lanes once all are there.
const Slot* exchange(unsigned mask, const void* value, size_t bytes, int line);
bool copies_arrive_at_once();  // is it so in this order of threads?
char* dynamic_shared();
void fail(const char* message);

inline int lane() { return current->number % WARP; }

}  // namespace emulator
