// A loop whose items run on several threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <new>
#include <thread>
#include <vector>

namespace splat2d {

// Call f(0) .. f(items - 1), each once, on up to `threads` threads.
template <class F>
void parallel(int threads, int64_t items, const F& f) {
  threads = static_cast<int>(std::min<int64_t>(threads, items));
  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  const auto work = [&] {
    try {
      for (int64_t i; !failed && (i = next++) < items;) f(i);
    } catch (const std::bad_alloc&) {
      failed = true;
    }
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < threads; ++t) {
    try {
      pool.emplace_back(work);
    } catch (const std::exception&) {
      break;  // the system gives no more threads: the existing ones do the work
    }
  }
  work();
  for (auto& thread : pool) thread.join();
  if (failed) throw std::bad_alloc();
}

}  // namespace splat2d
