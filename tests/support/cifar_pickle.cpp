#include "support/cifar_pickle.h"

#include <archive.h>
#include <archive_entry.h>

namespace dpll::test {
namespace {

std::string little_endian(std::size_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}

std::string short_string(const std::string& text) {
  return "U" + little_endian(text.size(), 1) + text;
}

}  // namespace

std::vector<std::uint8_t> cifar_pickle(
    const std::vector<std::pair<std::string, std::vector<std::uint8_t>>>& labels,
    const std::vector<std::uint8_t>& planes) {
  std::string p = "\x80\x02}q\x01(" + short_string("batch_label") + "q\x02" +
                  short_string("training batch 1 of 5") + "q\x03";
  for (const auto& [key, values] : labels) {
    p += short_string(key) + "q\x04]q\x05(";
    for (const std::uint8_t value : values) p += "K" + little_endian(value, 1);
    p += "e";
  }
  p += short_string("data") + "q\x06" + "cnumpy.core.multiarray\n_reconstruct\nq\x07" +
       "cnumpy\nndarray\nq\x08" + "K" + little_endian(0, 1) + "\x85U\x01" + "b\x87Rq\x09(K\x01M" +
       little_endian(planes.size() / 3072, 2) + "M" + little_endian(3072, 2) + "\x86" +
       "cnumpy\ndtype\nq\nU\x02u1K" + little_endian(0, 1) +
       "K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK" + little_endian(0, 1) + "tb\x89T" +
       little_endian(planes.size(), 4);
  p.append(planes.begin(), planes.end());
  p += "tb" + short_string("filenames") + "q\x0c]q\x0d(" + short_string("domestic_cat_s_000907.png") + "eu.";
  return {p.begin(), p.end()};
}

std::vector<std::uint8_t> tar_gz(
    const std::vector<std::pair<std::string, std::vector<std::uint8_t>>>& members) {
  std::size_t room = 1 << 16;
  for (const auto& [name, bytes] : members) room += bytes.size() + 4096;
  std::vector<std::uint8_t> out(2 * room);
  std::size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_add_filter_gzip(writer);
  archive_write_set_format_ustar(writer);
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  for (const auto& [name, bytes] : members) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(bytes.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_write_header(writer, entry);
    archive_write_data(writer, bytes.data(), bytes.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

}  // namespace dpll::test
