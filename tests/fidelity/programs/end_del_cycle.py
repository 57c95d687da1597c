# Objects in a cycle are collected at exit.
class Node:
    def __del__(self):
        print("del node")


left, right = Node(), Node()
left.other, right.other = right, left
print("end of main")
