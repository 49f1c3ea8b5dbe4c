// Runs the CUDA kernels on the CPU: the same source, compiled by an ordinary C++ compiler, one warp after another.
//
// A warp's 32 lanes are fibers. Each runs until it exchanges a value with the others; then the next one runs, and so on
// round the ring until all have arrived. If a lane returns, or calls another operation, while others wait for it, a GPU
// would hang or compute nonsense: here the process ends with a message.
#include <ucontext.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "kernels.cu"

namespace {

constexpr int kWidth = 32;
constexpr std::size_t kStack = 256 << 10;

struct Exchange {
  uint64_t value;
  char kind;  // which operation the lane called
};

struct Warp {
  unsigned index = 0;
  int lane = 0;
  std::function<void()> body;
  ucontext_t lanes[kWidth], caller;
  std::vector<char> stacks = std::vector<char>(kWidth * kStack);
  long done[kWidth];           // exchanges that a lane has entered
  Exchange posted[2][kWidth];  // by turns: a lane may be one exchange ahead of another, never two
} warp;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "warp shim: %s\n", what);
  std::abort();
}

void run_lane() {
  warp.body();
  if (warp.lane == kWidth - 1) setcontext(&warp.caller);
  ++warp.lane;
  setcontext(&warp.lanes[warp.lane]);
}

// Post a value, let every other lane post its own, and see them all.
const Exchange* exchange(uint64_t value, char kind) {
  const int me = warp.lane;
  const long turn = ++warp.done[me];
  Exchange* const posted = warp.posted[turn % 2];
  posted[me] = {value, kind};
  warp.lane = (me + 1) % kWidth;
  swapcontext(&warp.lanes[me], &warp.lanes[warp.lane]);
  for (int other = 0; other < kWidth; ++other) {
    if (warp.done[other] < turn) fail("a lane returned while others waited for it");
    if (posted[other].kind != kind) fail("lanes of one warp met in different operations");
  }
  return posted;
}

void run_warp(unsigned index) {
  warp.index = index;
  for (int lane = 0; lane < kWidth; ++lane) {
    warp.done[lane] = 0;
    ucontext_t& context = warp.lanes[lane];
    getcontext(&context);
    context.uc_stack.ss_sp = warp.stacks.data() + lane * kStack;
    context.uc_stack.ss_size = kStack;
    context.uc_link = nullptr;
    makecontext(&context, run_lane, 0);
  }
  warp.lane = 0;
  swapcontext(&warp.caller, &warp.lanes[0]);
}

template <class T>
T argument(uint64_t word) {
  T value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}

template <class... T, std::size_t... I>
void run(void (*kernel)(T...), unsigned warps, const uint64_t* words, std::index_sequence<I...>) {
  warp.body = [=] { kernel(argument<T>(words[I])...); };
  for (unsigned index = 0; index < warps; ++index) run_warp(index);
}

template <class... T>
bool run_if(const char* asked, const char* name, void (*kernel)(T...), unsigned warps, const uint64_t* words,
            int count) {
  if (std::strcmp(asked, name) != 0) return false;
  if (count != sizeof...(T)) fail("wrong number of arguments for a kernel");
  run(kernel, warps, words, std::index_sequence_for<T...>());
  return true;
}

}  // namespace

namespace splat2d {

int lane_index() { return warp.lane; }
unsigned warp_index() { return warp.index; }

unsigned ballot(bool vote) {
  const Exchange* const posted = exchange(vote, 'b');
  unsigned bits = 0;
  for (int lane = 0; lane < kWidth; ++lane) bits |= static_cast<unsigned>(posted[lane].value) << lane;
  return bits;
}

template <class T>
T shuffle_xor(T value, int mask) {
  uint64_t word = 0;
  std::memcpy(&word, &value, sizeof value);
  const int me = warp.lane;
  return argument<T>(exchange(word, 's')[me ^ mask].value);
}

}  // namespace splat2d

// Launch a kernel of `warps` warps on `count` argument words, as the CUDA driver takes them.
extern "C" int launch(const char* name, unsigned warps, const uint64_t* words, int count) {
#define TRY(kernel) run_if(name, #kernel, splat2d::splat2d_##kernel, warps, words, count)
  const bool found = TRY(prepare) || TRY(prepare_fast) || TRY(group) || TRY(rasterize) || TRY(gather) ||
                     TRY(gradients) || TRY(update_fast) || TRY(losses) || TRY(prepare_gaussianimage) ||
                     TRY(update_gaussianimage);
#undef TRY
  return found ? 0 : -1;
}
