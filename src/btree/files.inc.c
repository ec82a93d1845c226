/*
** files.inc.c: which files the engine opens, and what their errors are called. Part of engine.c.
*/
static int is_full(int reason) {
#ifdef EDQUOT
  if (reason == EDQUOT) return 1;
#endif
  return reason == ENOSPC;
}

#if SQLITE_OS_UNIX

/* Whether another error than these leaves hope that the file can be read where it cannot be written. */
static int is_about_writing(int reason) {
  return reason == EACCES || reason == EPERM || reason == EROFS || reason == ETXTBSY;
}

/* Folders are opened to be synced, and two devices by name. */
static int may_be_opened(const char *path, const struct stat *info) {
  return S_ISREG(info->st_mode) || S_ISDIR(info->st_mode) || strcmp(path, "/dev/urandom") == 0 ||
         strcmp(path, "/dev/null") == 0;
}

/* In place of open(2). A pipe or device that has the name of a store, of its log or of its journal is refused,
** and not waited for. And an error that passes is told: the engine, which opens for reading what it could not
** open for writing, would take it for a file that cannot be written. */
static int open_regular(const char *path, int flags, int mode) {
  static _Thread_local const char *failed_path; /* compared only */
  static _Thread_local int failed_reason;
  const char *before = failed_path;
  struct stat info;
  int file;
  failed_path = 0;
  if (path == before && (flags & O_ACCMODE) == O_RDONLY) {
    errno = failed_reason;
    return -1;
  }
  file = open(path, flags | O_NONBLOCK, mode);
  if (file >= 0 && (fstat(file, &info) != 0 || !may_be_opened(path, &info))) {
    close(file);
    file = -1;
    errno = EINVAL;
  }
  if (file < 0 && (flags & O_ACCMODE) == O_RDWR && !is_about_writing(errno)) {
    failed_path = path;
    failed_reason = errno;
  }
  return file;
}

/* What went wrong with a file, by its own name: a full disk is one whatever call has found it so, and that a
** disk could not be read just now, which the engine has a code for that becomes SQLITE_CORRUPT, says nothing
** about what is on it. */
static int file_error(const sqlite3_file *file, const sqlite3_io_methods *below, int rc) {
  if (rc == SQLITE_IOERR_CORRUPTFS) return SQLITE_IOERR_READ;
  if ((rc & 0xff) != SQLITE_IOERR || rc == SQLITE_IOERR_SHORT_READ) return rc;
  if (below->xFileControl != unixFileControl) return rc;
  return is_full(((const unixFile *)file)->lastErrno) ? SQLITE_FULL : rc;
}

/* Once, before the first file is opened. */
static void guard_files(void) { aSyscall[0].pCurrent = (sqlite3_syscall_ptr)open_regular; }

#else
static int file_error(const sqlite3_file *file, const sqlite3_io_methods *below, int rc) {
  (void)file, (void)below;
  return rc;
}
static void guard_files(void) {}
#endif
