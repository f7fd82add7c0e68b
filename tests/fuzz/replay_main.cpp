// Runs a fuzz target as an ordinary test: every file of the corpus as it is, then mutations of each from a fixed seed.
#include "common/base/rng.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

std::vector<Input> load(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        files.push_back(entry.path());
    }
    std::ranges::sort(files);
    std::vector<Input> inputs;
    for (const auto& file : files) {
        std::ifstream stream(file, std::ios::binary);
        inputs.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
    }
    return inputs;
}

Input mutate(Input input, pinhole::Rng& rng) {
    const auto edits = 1 + rng.below(4);
    for (std::uint64_t i = 0; i < edits; ++i) {
        const auto kind = rng.below(4);
        if (input.empty() || kind == 0) {
            const auto at = static_cast<std::ptrdiff_t>(rng.below(input.size() + 1));
            input.insert(input.begin() + at, static_cast<std::uint8_t>(rng.below(256)));
        } else if (kind == 1) {
            input.resize(rng.below(input.size()) + 1);
        } else {
            input[rng.below(input.size())] = static_cast<std::uint8_t>(rng.below(256));
        }
    }
    return input;
}

}  // namespace

int main(int argc, char** argv) {
    constexpr int kMutationsPerInput = 2000;
    std::size_t runs = 0;
    pinhole::SeededRng rng{1};
    for (int i = 1; i < argc; ++i) {
        for (const auto& input : load(argv[i])) {
            LLVMFuzzerTestOneInput(input.data(), input.size());
            for (int n = 0; n < kMutationsPerInput; ++n) {
                const auto mutated = mutate(input, rng);
                LLVMFuzzerTestOneInput(mutated.data(), mutated.size());
            }
            runs += kMutationsPerInput + 1;
        }
    }
    std::printf("%zu inputs\n", runs);
    return runs == 0 ? 1 : 0;  // an empty corpus tests nothing
}
