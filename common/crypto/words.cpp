#include "common/base/bytes.hpp"
#include "common/crypto/hash.hpp"
#include "common/crypto/keys.hpp"

#include <array>
#include <string_view>

namespace pinhole::crypto {

namespace {

// One word a byte: short, common, concrete, hard to mishear for one another. The order is part of the contract: two
// versions must show the same words for the same ID.
// clang-format off
constexpr std::array<std::string_view, 256> kWords{
    "acid", "acorn", "actor", "alarm", "album", "alley", "amber", "angle", "ankle", "apple", "april", "apron",
    "arrow", "aspen", "atlas", "attic", "autumn", "bacon", "badge", "bagel", "baker", "banjo", "barrel", "basil",
    "basket", "beach", "beard", "beaver", "berry", "bird", "bishop", "blanket", "blue", "boat", "bottle", "branch",
    "bread", "brick", "bridge", "broom", "brush", "bucket", "bundle", "butter", "button", "cabin", "cactus", "camel",
    "camera", "candle", "canoe", "canyon", "carpet", "carrot", "castle", "cedar", "chain", "chair", "chalk", "cherry",
    "chess", "chimney", "circle", "circus", "clock", "cloud", "clover", "cobra", "coffee", "comet", "copper", "coral",
    "cotton", "cousin", "cradle", "crayon", "cricket", "crown", "curtain", "daisy", "dancer", "desert", "diamond",
    "dinner", "doctor", "dolphin", "donkey", "dragon", "drum", "eagle", "earth", "easel", "elbow", "ember", "engine",
    "falcon", "farmer", "feather", "fiddle", "finger", "fire", "flag", "flute", "forest", "fossil", "fountain", "fox",
    "frog", "garden", "garlic", "ghost", "giant", "ginger", "glove", "goat", "goose", "grape", "guitar", "hammer",
    "harbor", "hazel", "helmet", "hero", "hill", "honey", "hornet", "horse", "hotel", "igloo", "iron", "island",
    "ivory", "jacket", "jaguar", "jelly", "jewel", "jungle", "kettle", "kitchen", "kite", "kiwi", "koala", "ladder",
    "lamp", "laser", "lemon", "leopard", "letter", "lily", "lion", "lizard", "lobster", "lotus", "magnet", "mango",
    "maple", "marble", "meadow", "melon", "mirror", "monkey", "moon", "motor", "muffin", "mushroom", "napkin",
    "needle", "nickel", "noodle", "north", "nurse", "oasis", "ocean", "olive", "onion", "orange", "orbit", "otter",
    "owl", "oyster", "paddle", "palace", "panda", "paper", "parrot", "pasta", "pebble", "pencil", "pepper", "piano",
    "pigeon", "pillow", "pilot", "pirate", "planet", "plum", "pocket", "poet", "pony", "potato", "prince", "pumpkin",
    "puzzle", "queen", "quilt", "rabbit", "radio", "raven", "ribbon", "river", "robin", "rocket", "ruby", "sailor",
    "salmon", "sandal", "saucer", "school", "scissor", "shadow", "shark", "silver", "sister", "snow", "spider",
    "spoon", "square", "stable", "summer", "sunset", "table", "tango", "teapot", "thunder", "tiger", "tomato",
    "tower", "train", "trumpet", "tulip", "tunnel", "turtle", "uncle", "valley", "velvet", "violin", "wagon",
    "walnut", "walrus", "window", "winter", "wizard", "wolf", "yellow", "yogurt", "zebra"
};
// clang-format on

}  // namespace

std::string fingerprint_words(const PeerId& id) {
    constexpr std::size_t kCount = 8;
    const auto hash = blake2b(id.bytes);
    std::string text;
    for (const auto byte : ByteView{hash}.first(kCount)) {
        text += text.empty() ? "" : " ";
        text += kWords[byte];
    }
    return text;
}

}  // namespace pinhole::crypto
