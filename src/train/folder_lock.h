// Keeps a second process out of a run's folder.
#pragma once

#include <string>
#include <vector>

namespace dpll {

// Held as long as it lives. By flock on the file .lock; on a file system that has none, by the file
// .lock.owner, which names the host and the process that holds it. One that was left by a process that is no
// more, of this host, is taken over; one of another host (or of another container, whose processes are not
// seen from here) cannot be judged and is refused.
class FolderLock {
 public:
  // Error(run), naming the folder and what to do, where another process holds it or it cannot be made.
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  // What the user may want to know, a line each: that the file system has no locks, whose lock was taken
  // over.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  bool lock_by_flock();  // false: the file system has no locks
  void lock_by_owner_file();
  void clear_owner_file();

  std::string folder_, lock_path_, owner_path_;
  int file_ = -1;
  bool owns_ = false;  // the owner file
  std::vector<std::string> notes_;
};

}  // namespace dpll
