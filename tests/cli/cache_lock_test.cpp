// The lock of a cache entry: one holder at a time, whoever died, slept or was slow. web/test/node/cache-lock.test.ts
// lets the npm package contend with the command line.
#include "cache_lock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <barrier>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "base/types.h"

namespace pronk::cli {
namespace {

using namespace std::chrono_literals;

constexpr const char* nobody = "999999999";  // the id of no process
const std::string some_token(32, 'a'), other_token(32, 'b');

std::string this_host() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

class Lock : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "pronk-lock-XXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name = "lock") const { return folder_ + "/" + name; }
  void write(const std::string& name, const std::string& line) const { std::ofstream(path(name)) << line << "\n"; }
  void write_dead_lock() const { write("lock", std::string(nobody) + " " + this_host() + " " + some_token); }
  void touch(std::time_t seconds_ago) const {
    const timespec time = {.tv_sec = ::time(nullptr) - seconds_ago, .tv_nsec = 0};
    const timespec both[2] = {time, time};
    ASSERT_EQ(::utimensat(AT_FDCWD, path().c_str(), both, 0), 0);
  }
  std::time_t age() const {
    struct stat status = {};
    return ::stat(path().c_str(), &status) == 0 ? ::time(nullptr) - status.st_mtime : -1;
  }
  std::unique_ptr<CacheLock> take(std::chrono::milliseconds beat = 10s) const {
    Result<std::unique_ptr<CacheLock>> lock = CacheLock::take(folder_, beat);
    EXPECT_TRUE(lock) << lock.error().message;
    return lock ? std::move(*lock) : nullptr;
  }

  // How many of eight that try at the same moment have the lock at the end.
  u32 contend() const {
    std::vector<std::unique_ptr<CacheLock>> locks(8);
    std::barrier start(std::ptrdiff_t(locks.size()));
    std::vector<std::thread> threads;
    for (auto& lock : locks) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        lock = take();
      });
    }
    for (std::thread& thread : threads) thread.join();
    u32 holders = 0;
    for (const auto& lock : locks) holders += lock && lock->held();
    u32 takers = 0;
    for (const auto& lock : locks) takers += lock != nullptr;
    EXPECT_EQ(takers, holders);
    return holders;
  }

  std::string folder_;
};

TEST_F(Lock, OneOfManyTakesAFreeOne) {
  for (u32 round = 0; round < 100; ++round) ASSERT_EQ(contend(), 1u) << round;
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(Lock, OneOfManyTakesADeadOne) {
  for (u32 round = 0; round < 300; ++round) {
    write_dead_lock();
    ASSERT_EQ(contend(), 1u) << round;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(Lock, ADeadClaimToADeadOneIsClaimedInTurn) {
  const std::string dead = std::string(nobody) + " " + this_host() + " ";
  for (u32 round = 0; round < 100; ++round) {
    write_dead_lock();
    write("lock." + some_token, dead + other_token);
    ASSERT_EQ(contend(), 1u) << round;
    EXPECT_TRUE(std::filesystem::is_empty(folder_));
  }
  write_dead_lock();
  write("lock." + some_token, std::to_string(::getppid()) + " " + this_host() + " " + other_token);
  EXPECT_FALSE(take());  // a living process is about to take it
}

TEST_F(Lock, IsHeldAsLongAsItsHolderLives) {
  const auto lock = take(10ms);
  ASSERT_TRUE(lock);
  for (u32 round = 0; round < 3; ++round) {
    touch(3600);
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (age() > 60 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    EXPECT_LE(age(), 60);  // a slow download is not a dead one
    EXPECT_FALSE(take());
    EXPECT_TRUE(lock->held());
  }
}

TEST_F(Lock, OfAnotherHostIsJudgedByItsAge) {
  write("lock", std::string(nobody) + " elsewhere " + some_token);
  EXPECT_FALSE(take());
  touch(500);
  EXPECT_FALSE(take());
  touch(700);
  EXPECT_TRUE(take());
}

TEST_F(Lock, OfAnotherFormIsJudgedByItsAge) {
  for (const std::string line : {"", "7", "x y z", "-5 host aaaa"}) {
    write("lock", line);
    EXPECT_FALSE(take()) << line;
    touch(700);
    EXPECT_TRUE(take()) << line;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(Lock, ARobbedHolderFindsOut) {
  auto lock = take();
  ASSERT_TRUE(lock && lock->held());
  const std::string other = std::to_string(::getpid()) + " " + this_host() + " " + some_token;
  write("next", other);
  std::filesystem::rename(path("next"), path());
  EXPECT_FALSE(lock->held());
  lock.reset();
  EXPECT_TRUE(std::filesystem::exists(path()));  // it is not ours to remove
}

TEST_F(Lock, SaysWhyThereIsNone) {
  const auto lock = CacheLock::take("/dev/null/folder");
  ASSERT_FALSE(lock);
  EXPECT_NE(lock.error().message.find("/dev/null/folder: "), std::string::npos) << lock.error().message;
}

}  // namespace
}  // namespace pronk::cli
