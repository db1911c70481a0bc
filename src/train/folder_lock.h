// Keeps a second process out of a run's folder.
#pragma once

#include <string>
#include <vector>

namespace dpll {

// The lock is held during the lifetime of the object. It is a flock on the file .lock, or, on a file system
// without flock, the file .lock.owner, which names host and process. If that process was on this host and has
// ended, its file is taken over. If it was on another host (or in another container, whose processes are not
// visible here), nobody can know whether it still runs, and the lock is refused.
class FolderLock {
 public:
  // Error(run), with the folder and a solution, if another process holds the lock or it cannot be created.
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  // Messages for the user, one line each: that the file system has no locks, or whose lock was taken over.
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
