/// \file
/// A few threads that share out pieces of work.
#pragma once

#include <snkv/error.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sys/types.h>
#include <unistd.h>

namespace snkv {

/// Threads: `run` and `post` may be called from any thread, also from inside the pool. The
/// destructor carries out what was posted before it.
class ThreadPool {
 public:
  /// `threads` in all, the caller of `run` included; 0: as many as the machine has. Starts them
  /// when there is work for the first time.
  explicit ThreadPool(std::size_t threads = 0)
      : size_(threads != 0 ? threads
                           : std::max<std::size_t>(1, std::thread::hardware_concurrency())) {}
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool() {
    // In a forked child the threads do not exist, and what they waited for has to be left alone.
    if (state_->owner != ::getpid()) {
      static_cast<void>(state_.release());
      return;
    }
    {
      const std::lock_guard lock(state_->mutex);
      state_->stopping = true;
    }
    state_->wake.notify_all();
    for (std::thread& thread : state_->threads) thread.join();
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Calls `work(0)` to `work(size() - 1)`, one of them here, and returns when all have returned.
  /// Workers that find nothing to do should return at once: the pool may be busy with something
  /// else, and then this thread does all of it. The first exception is thrown here.
  template <class Work>
  void run(Work&& work) {
    if (size_ == 1) {
      work(std::size_t{0});
      return;
    }
    struct Shared {
      std::mutex mutex;
      std::condition_variable done;
      std::size_t running = 0;
      bool closed = false;
      std::exception_ptr error;
    };
    // Lives as long as the last task that has not looked at it yet.
    const auto shared = std::make_shared<Shared>();
    const auto guarded = [&work](Shared& state, std::size_t index) noexcept {
      try {
        work(index);
      } catch (...) {
        const std::lock_guard lock(state.mutex);
        if (state.error == nullptr) state.error = std::current_exception();
      }
    };
    try {
      for (std::size_t index = 1; index < size_; ++index) {
        post([shared, guarded, index] {
          {
            const std::lock_guard lock(shared->mutex);
            if (shared->closed) return;  // `work` is gone
            ++shared->running;
          }
          guarded(*shared, index);
          const std::lock_guard lock(shared->mutex);
          if (--shared->running == 0) shared->done.notify_all();
        });
      }
    } catch (...) {
      // No thread, or no memory: then with fewer hands, or with these alone.
    }
    guarded(*shared, 0);
    std::unique_lock lock(shared->mutex);
    shared->closed = true;
    shared->done.wait(lock, [&] { return shared->running == 0; });
    if (shared->error != nullptr) std::rethrow_exception(shared->error);
  }

  /// Calls `work(i, worker)` for each `i` below `count`, also after an error, and returns one of
  /// the errors. `worker` is below `size()`, and no two calls have the same one at once.
  template <class Work>
  [[nodiscard]] Error each(std::size_t count, Work&& work) {
    std::atomic<std::size_t> next{0};
    std::mutex error_mutex;
    Error error;
    run([&](std::size_t worker) {
      for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
        Error failed = work(i, worker);
        if (!failed.failed()) continue;
        const std::lock_guard lock(error_mutex);
        error = std::move(failed);
      }
    });
    return error;
  }

  /// Carries out `task` in the pool, some time. A pool of one carries it out in a thread of its own
  /// too.
  void post(std::function<void()> task) {
    {
      const std::lock_guard lock(state_->mutex);
      start();
      state_->tasks.push_back(std::move(task));
    }
    state_->wake.notify_one();
  }

 private:
  void start() {
    const std::size_t wanted = std::max<std::size_t>(1, size_ - 1);
    std::vector<std::thread>& threads = state_->threads;
    threads.reserve(wanted);
    try {
      while (threads.size() < wanted)
        threads.emplace_back([state = state_.get()] { serve(*state); });
    } catch (const std::system_error&) {
      if (threads.empty()) throw;  // fewer will do
    }
  }

  struct State {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<std::function<void()>> tasks;
    std::vector<std::thread> threads;
    bool stopping = false;
    const ::pid_t owner = ::getpid();
  };

  static void serve(State& state) {
    std::unique_lock lock(state.mutex);
    for (;;) {
      state.wake.wait(lock, [&] { return state.stopping || !state.tasks.empty(); });
      if (state.tasks.empty()) return;
      std::function<void()> task = std::move(state.tasks.front());
      state.tasks.pop_front();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
  }

  const std::size_t size_;
  std::unique_ptr<State> state_ = std::make_unique<State>();
};

}  // namespace snkv
