#include <algorithm>
#include <iostream>
#include <map>
#include <thread>
#include <vector>
int main() {
    std::vector<int> numbers{3, 1, 2};
    std::sort(numbers.begin(), numbers.end());
    std::map<std::string, int> counted;
    for (std::string word; std::cin >> word;) counted[word]++;
    for (auto &[word, count] : counted) std::cout << word << ' ' << count << '\n';
    std::thread([&] { std::cout << numbers.back() << std::endl; }).join();
}
