// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

// Carries the readable rows of a damaged queue over into a new one. Archive's thread.
namespace things {

class ArchiveStore;
struct DiskCounters;

/// Reads `damaged` row by row, every table by itself, and writes what is sound to a new database at `path`.
/// If its first page is damaged, that of the new one is read in its place; names come from the catalogue or
/// its copy. Where readings are missing that the state counts, the file's leaves are searched
/// (queue/flash/leaves.hpp). Returns one line for people: what was carried over and what was not.
/// Never throws for damage; throws SqliteError if the new one cannot be written.
/// Written as PATH.rescue and renamed when complete: a power cut meanwhile finds the damaged one again. Takes
/// minutes for a large one on a worn card.
std::string rescue(const std::string& damaged, const std::string& path, const std::string& vfs,
                   DiskCounters& counters);

} // namespace things
