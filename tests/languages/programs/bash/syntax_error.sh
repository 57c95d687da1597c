echo first
if then
