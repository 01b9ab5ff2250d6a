#include "cache_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <vector>

namespace pronk::cli {

namespace {

constexpr std::time_t patience = 10 * 60;  // seconds
constexpr u32 most_attempts = 100;         // each but the last was thwarted by somebody else's step forward

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 && name[0] ? name : "unknown";
}

std::string random_token() {
  std::random_device random;
  std::string token;
  for (u32 i = 0; i < 32; ++i) token += "0123456789abcdef"[random() & 15];
  return token;
}

struct Note {
  long process = 0;
  std::string host = "";
  std::string token = "0";
  std::time_t touched = 0;

  bool dead() const {
    const std::time_t age = ::time(nullptr) - touched;
    if (age > patience || age < -patience) return true;  // a clock that was set back must not keep a lock for ever
    return process > 0 && host == host_name() && ::kill(pid_t(process), 0) != 0 && errno == ESRCH;
  }
};

// "PROCESS_ID HOST TOKEN"
void parse_line(std::string_view line, Note& note) {
  const std::size_t first = line.find(' '), second = line.find(' ', first + 1);
  if (first == line.npos || second == line.npos) return;
  long process = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + first, process);
  const std::string_view token = line.substr(second + 1, line.find('\n') - (second + 1));
  const bool good = error == std::errc() && end == line.data() + first && process > 0 && token.size() == 32 &&
                    token.find_first_not_of("0123456789abcdef") == token.npos;
  if (good) note.process = process, note.host = line.substr(first + 1, second - first - 1), note.token = token;
}

// Nullopt: there is no such file.
std::optional<Note> read_note(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  char line[512];
  struct stat status = {};
  const bool there = ::fstat(file, &status) == 0;
  const ssize_t size = ::read(file, line, sizeof line);
  ::close(file);
  if (!there) return std::nullopt;
  Note note{.touched = status.st_mtime};
  if (size > 0) parse_line({line, std::size_t(size)}, note);
  return note;
}

// Gives errno; 0: done.
int write_line(const std::string& path, const std::string& token) {
  const std::string line = std::to_string(::getpid()) + " " + host_name() + " " + token + "\n";
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) return errno;
  const ssize_t written = ::write(file, line.data(), line.size());
  const int error = written == ssize_t(line.size()) ? 0 : written < 0 ? errno : ENOSPC;
  ::close(file);
  if (error != 0) ::unlink(path.c_str());
  return error;
}

// The lock, if it is dead the claim to it, and so on: the last one counts.
struct Chain {
  std::vector<std::string> paths, tokens;
  bool dead = true;  // of the last one; so are all before it
};

Chain read_chain(const std::string& folder) {
  Chain chain;
  for (std::string path = folder + "/lock"; chain.dead; path = folder + "/lock." + chain.tokens.back()) {
    const auto note = read_note(path);
    if (!note) break;
    // Two lines of another form cannot be told apart.
    if (!chain.tokens.empty() && note->token == chain.tokens.back()) break;
    chain.paths.push_back(path);
    chain.tokens.push_back(note->token);
    chain.dead = note->dead();
  }
  return chain;
}

enum class Step { taken, held, again, failed };

// The folder may be removed under our hands.
Step failed_with(int error) { return error == ENOENT || error == EEXIST ? Step::again : Step::failed; }

// One attempt to make the file `line`, which holds our line, the lock. failed: see errno.
Step try_to_take(const std::string& folder, const std::string& line) {
  const std::string lock = folder + "/lock";
  if (::link(line.c_str(), lock.c_str()) == 0) return Step::taken;
  if (errno != EEXIST) return failed_with(errno);
  const Chain chain = read_chain(folder);
  if (chain.tokens.empty()) return Step::again;  // given back meanwhile
  if (!chain.dead) return Step::held;
  const std::string claim = folder + "/lock." + chain.tokens.back();
  if (::link(line.c_str(), claim.c_str()) != 0) return failed_with(errno);
  const Chain now = read_chain(folder);
  const bool ours = now.paths.size() == chain.paths.size() + 1 && now.paths.back() == claim &&
                    std::equal(chain.tokens.begin(), chain.tokens.end(), now.tokens.begin());
  if (!ours || ::rename(claim.c_str(), lock.c_str()) != 0) {
    ::unlink(claim.c_str());
    return Step::again;
  }
  for (std::size_t i = 1; i < chain.paths.size(); ++i) ::unlink(chain.paths[i].c_str());
  return Step::taken;
}

}  // namespace

struct CacheLock::State {
  std::string path, token;
  std::mutex mutex;
  std::condition_variable_any wake;
  std::jthread beat;  // the last member: it ends first

  bool held() const {
    const auto note = read_note(path);
    return note && note->token == token;
  }

  void keep(std::stop_token stop, std::chrono::milliseconds pause) {
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      if (held()) ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
      wake.wait_for(lock, stop, pause, [] { return false; });
    }
  }
};

Result<std::unique_ptr<CacheLock>> CacheLock::take(const std::string& folder, std::chrono::milliseconds beat) {
  auto state = std::make_unique<State>();
  state->path = folder + "/lock";
  state->token = random_token();
  const std::string line = state->path + "." + state->token + ".new";
  Step step = Step::again;
  for (u32 attempt = 0; attempt < most_attempts && step == Step::again; ++attempt) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return fail(folder + ": " + error.message());
    int why = write_line(line, state->token);
    step = why == 0 ? try_to_take(folder, line) : failed_with(why);
    if (why == 0) why = errno;
    ::unlink(line.c_str());
    if (step == Step::failed) return fail(state->path + ": " + std::strerror(why));
  }
  if (step != Step::taken) return nullptr;
  State* const kept = state.get();
  state->beat = std::jthread([kept, beat](std::stop_token stop) { kept->keep(stop, beat); });
  return std::unique_ptr<CacheLock>(new CacheLock(std::move(state)));
}

CacheLock::CacheLock(std::unique_ptr<State> state) : state_(std::move(state)) {}

CacheLock::~CacheLock() {
  state_->beat.request_stop();
  state_->beat.join();
  if (held()) ::unlink(state_->path.c_str());
}

bool CacheLock::held() const { return state_->held(); }

}  // namespace pronk::cli
